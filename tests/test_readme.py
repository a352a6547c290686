"""The examples of the README do what it says, to the letter but for keys and times."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import Server

README = Path(__file__).parent.parent / "README.md"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z")
KEY = re.compile(r"\b[A-Z2-7]{32}\b")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_command_runs_the_service_and_the_second_its_tests() -> None:
    run, test = blocks("sh")[:2]

    assert "pip install" in run
    assert run.endswith("scoresvc:app\n")
    assert "pip install" in test
    assert test.endswith("pytest\n")


def test_the_python_session_over_tcp_prints_what_it_says(tmp_path: Path) -> None:
    (program,) = blocks("python")
    printed = README.read_text(encoding="utf-8").split(program)[1].split("```\n")[2]

    with Server(tmp_path, "--tcp-port", "0") as server:
        program = program.replace("12000", str(server.tcp_port))
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)

    assert (result.stdout, result.stderr) == (printed, "")


@pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
def test_the_session_with_nc_prints_what_it_says(tmp_path: Path) -> None:
    (session,) = [block for block in blocks("console") if "nc " in block]
    command, printed, _ = session.removeprefix("$ ").split("\n")

    with Server(tmp_path, "--tcp-port", "0") as server:
        key = server.ask(method="GET", path="/4711/login")["data"]
        server.ask(method="POST", path=f"/2/score?sessionkey={key}", data=1700)
        command = command.replace("12000", str(server.tcp_port))
        result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)

    assert result.stdout == printed


def test_the_sessions_with_curl_print_what_they_say(tmp_path: Path) -> None:
    session = "".join(block for block in blocks("console") if "curl" in block)
    key = ""

    with Server(tmp_path) as server:
        for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            command = KEY.sub(key, command.replace(":8080", f":{server.port}"))
            result = subprocess.run(
                ["bash", "-c", command.replace("curl ", "curl -sS ")], capture_output=True, text=True, timeout=20
            )
            key = result.stdout if KEY.fullmatch(result.stdout) else key
            assert (masked(result.stdout), result.stderr) == (masked(printed.removesuffix("\n")), "")
    assert key


def masked(text: str) -> str:
    """The text without what is another every time: the key, the times."""
    return TIME.sub("TIME", KEY.sub("KEY", text))
