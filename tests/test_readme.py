"""The examples of the README do what it says, to the letter but for keys and times."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scoresvc.api.admin_calls import ADMIN_CALLS
from scoresvc.api.admin_parameters import SettingsParameter, TokenParameter
from scoresvc.api.call import Call
from scoresvc.api.calls import CALLS
from scoresvc.api.parameters import BodyParameter, PathParameter
from tests.conftest import refusals
from tests.running import Server

README = Path(__file__).parent.parent / "README.md"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z")
EXACT_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z")
NUMBER = re.compile(r"\b[0-9]{7,10}\b")
DATE = re.compile(r"\b\d{4}-(\d\d-\d\d|W\d\d)\b")
KEY = re.compile(r"\b[A-Z2-7]{32}\b")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_command_runs_the_service_and_the_second_its_tests() -> None:
    run, test = blocks("sh")[:2]

    assert "pip install" in run
    assert run.endswith("scoresvc:app\n")
    assert "pip install" in test
    assert test.endswith("pytest\n")


def calls_table() -> str:
    """The table of the calls of players as api/calls.py has it."""
    calls = [call for call in CALLS if call not in ADMIN_CALLS]
    rows = [f"| `{name_of(call)}` | {takes(call)} | {call.text.pattern} | {call.summary} |" for call in calls]
    return "\n".join(["| call | takes | plain answer | |", "|---|---|---|---|", *rows])


def admin_calls_table() -> str:
    """The table of the calls of operators as api/admin_calls.py has it."""
    rows = [
        f"| `{name_of(call)}` | {call.token.right} | {takes(call)} | {call.text.pattern} | {call.summary} |"
        for call in ADMIN_CALLS
        if call.token
    ]
    return "\n".join(["| call | right | takes | plain answer | |", "|---|---|---|---|---|", *rows])


def name_of(call: Call) -> str:
    return f"{', '.join((call.method, *call.other_methods))} {call.path}"


def takes(call: Call) -> str:
    parameters = [each for each in call.takes if not isinstance(each, PathParameter)]
    if call in ADMIN_CALLS:
        parameters = [each for each in parameters if not isinstance(each, TokenParameter)]
    return "; ".join(
        each.meaning
        if isinstance(each, BodyParameter | SettingsParameter | TokenParameter)
        else f"`{each.name}=` {each.meaning}"
        for each in parameters
    )


def errors_table() -> str:
    """The table of refusals as the two errors.py have them."""
    rows = [
        f"| {refusal.status[:3]} | `{refusal.code}` | {(refusal.__doc__ or '').strip()} |" for refusal in refusals()
    ]
    return "\n".join(["| status | code | |", "|---|---|---|", *rows])


def test_the_table_of_calls_is_that_of_the_service() -> None:
    assert calls_table() in README.read_text(encoding="utf-8")


def test_the_table_of_the_calls_of_operators_is_that_of_the_service() -> None:
    assert admin_calls_table() in README.read_text(encoding="utf-8")


def test_the_table_of_errors_is_that_of_the_service() -> None:
    assert errors_table() in README.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_client_in_javascript_posts_and_reads(tmp_path: Path) -> None:
    (program,) = blocks("js")

    with Server(tmp_path) as server:
        program = program.replace(":8080", f":{server.port}")
        program += 'key = "EXPIRED"; console.log(await post(1500), await post(7), await list());'
        result = subprocess.run(
            ["node", "--input-type=module", "--eval", program], capture_output=True, text=True, timeout=20
        )

    assert (result.stdout, result.stderr) == ("true true 4711=1500\n", "")


def test_the_client_in_gdscript_is_gdscript() -> None:
    parser = pytest.importorskip("gdtoolkit.parser", reason="gdtoolkit is not installed")
    (program,) = blocks("gdscript")

    tree = parser.parser.parse(program)

    assert [name for name in ("ask", "_ready") if name in str(tree)] == ["ask", "_ready"]


def test_the_client_in_python_posts_and_reads(tmp_path: Path) -> None:
    (program,) = blocks("py")

    with Server(tmp_path) as server:
        program = program.replace(":8080", f":{server.port}")
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=20
        )

    assert (result.stdout, result.stderr) == ("rank 1\n[1500]\n", "")


@pytest.mark.skipif(shutil.which("mcs") is None, reason="mono's compiler mcs is not installed")
def test_the_client_for_unity_posts_and_reads_with_the_bytes_that_unity_sends(tmp_path: Path) -> None:
    (program,) = blocks("csharp")

    with Server(tmp_path) as server:
        (tmp_path / "Scores.cs").write_text(program.replace(":8080", f":{server.port}"))
        compile_command = ["mcs", "-out:game.exe", "Scores.cs", str(Path(__file__).parent / "unity.cs")]
        subprocess.run(compile_command, cwd=tmp_path, check=True, timeout=60)
        result = subprocess.run(["mono", "game.exe"], cwd=tmp_path, capture_output=True, text=True, timeout=20)

    assert (result.stdout, result.stderr) == ("1\t4711\t1500\t\n\n", "")


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
    with_curl = [block for block in blocks("console") if re.search("curl .*http://127.0.0.1:8080/", block)]
    session = "".join(block for block in with_curl if "scoresvc " not in block and "/new" not in block)
    key = ""

    with Server(tmp_path) as server:
        for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            command = KEY.sub(key, command.replace(":8080", f":{server.port}"))
            result = subprocess.run(
                ["bash", "-c", command.replace("curl ", "curl -sS ")], capture_output=True, text=True, timeout=20
            )
            key = result.stdout if command.endswith("/login") and KEY.fullmatch(result.stdout) else key
            assert (masked(result.stdout).strip(), result.stderr) == (masked(printed).strip(), "")
    assert key


def test_the_session_of_a_new_user_prints_what_it_says(tmp_path: Path) -> None:
    (session,) = [block for block in blocks("console") if "/new" in block]
    steps = [step.partition("\n") for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]
    made: list[tuple[str, str]] = []  # what README has, and what this user has

    with Server(tmp_path) as server:
        for command, _, printed in steps:
            for written, real in made:
                command, printed = command.replace(written, real), printed.replace(written, real)
            (output,) = run_in_shell(server, [command])
            if not made:
                made = list(zip(re.findall("=(.*)", printed), re.findall("=(.*)", output), strict=True))
            assert masked(NUMBER.sub("NUMBER", output)).strip() == masked(NUMBER.sub("NUMBER", printed)).strip()


def test_the_session_of_an_operator_prints_what_it_says(tmp_path: Path) -> None:
    (session,) = [block for block in blocks("console") if "scoresvc token" in block]
    steps = [step.partition("\n") for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]

    with Server(tmp_path) as server:
        _, key = server.call("GET", "/131/login")
        for score in ("1220", "999999"):
            server.call("POST", f"/2/score?sessionkey={key}", score)
        outputs = run_in_shell(server, [command for command, *_ in steps])

    for output, (_, _, printed) in zip(outputs, steps, strict=True):
        assert masked(output).strip() == masked(printed).strip()


def test_the_session_about_a_level_prints_what_it_says(tmp_path: Path) -> None:
    (session,) = [block for block in blocks("console") if "scoresvc level" in block]
    steps = [step.partition("\n") for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]

    with Server(tmp_path) as server:
        outputs = run_in_shell(server, [command for command, *_ in steps])

    for output, (_, _, printed) in zip(outputs, steps, strict=True):
        assert DATE.sub("DATE", masked(output)).strip() == DATE.sub("DATE", masked(printed)).strip()


def test_the_session_about_an_export_prints_what_it_says(tmp_path: Path) -> None:
    (session,) = [block for block in blocks("console") if "scoresvc export" in block]
    steps = [step.partition("\n") for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]

    with Server(tmp_path) as server:
        _, key = server.call("GET", "/4711/login?name=Ada")
        server.call("POST", f"/2/score?sessionkey={key}", "1500")
        outputs = run_in_shell(server, [command for command, *_ in steps])

    for output, (_, _, printed) in zip(outputs, steps, strict=True):
        assert EXACT_TIME.sub("TIME", output).split() == EXACT_TIME.sub("TIME", printed).split()


def test_the_exports_of_other_services_are_imported_as_it_says(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("sh") if "nakama.csv" in block]
    for path in (Path(__file__).parent / "transfer" / "rivals").iterdir():
        shutil.copy(path, tmp_path)

    with Server(tmp_path) as server:
        outputs = run_in_shell(server, block.splitlines())

    assert [output.strip() for output in outputs] == ["2 imported, 0 unchanged, 0 refused"] * 2


def run_in_shell(server: Server, commands: Sequence[str]) -> list[str]:
    """Returns what each command prints in one shell beside the server."""
    script = "".join(f"{command}\necho --\n" for command in commands)
    script = script.replace(":8080", f":{server.port}").replace("curl ", "curl -sS ")
    script = re.sub(r"(^|\$\()scoresvc ", rf"\1{sys.executable} -m scoresvc ", script, flags=re.MULTILINE)
    result = subprocess.run(["bash", "-c", script], cwd=server.folder, capture_output=True, text=True, timeout=20)
    assert result.stderr == ""
    return result.stdout.split("--\n")[:-1]


def masked(text: str) -> str:
    """The text without what is another every time: the key, the times."""
    return TIME.sub("TIME", KEY.sub("KEY", text))
