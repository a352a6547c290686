"""The README's way from nothing to the first score, with stand-ins for the programs that change the whole machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scoresvc.examples import EXAMPLES, read_example
from tests.deployment.proxies import free_port, replaced, start_nginx
from tests.running import Server
from tests.serve.commands import ROOT
from tests.test_readme import README, blocks

STAND_INS = ("adduser", "systemctl", "apt-get")
INSTALLING = "python3 -m venv /opt/scoresvc && /opt/scoresvc/bin/pip install '.[fast,sqlite]'\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder in the place of /, in which the README's commands have run; `ran` lists those of the stand-ins."""
    (commands,) = [block for block in blocks("sh") if "adduser" in block]
    programs = tmp_path / "programs"
    for folder in (programs, tmp_path / "etc/systemd/system", tmp_path / "etc/nginx/conf.d"):
        folder.mkdir(parents=True)
    for name in STAND_INS:
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/ran\n')
        (programs / name).chmod(0o755)
    (programs / "scoresvc").write_text(f'#!/bin/sh\nexec {sys.executable} -m scoresvc "$@"\n')
    (programs / "scoresvc").chmod(0o755)

    commands = replaced(commands, INSTALLING, "")
    commands = replaced(commands, "/opt/scoresvc/bin/", f"{programs}/")
    for folder_name in ("/etc/", "/var/lib/"):
        commands = replaced(commands, folder_name, f"{tmp_path}{folder_name}")
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", commands], cwd=ROOT, env=environ, check=True, timeout=30)
    return tmp_path


def test_the_commands_leave_the_files_of_the_examples(root: Path) -> None:
    assert (root / "etc/systemd/system/scoresvc@.service").read_text() == read_example("systemd")
    assert (root / "etc/nginx/conf.d/scoresvc.conf").read_text() == read_example("nginx")
    assert (root / "ran").read_text().splitlines() == [
        "adduser --system --group --no-create-home scoresvc",
        "systemctl daemon-reload",
        "systemctl enable --now scoresvc@tetris",
        "apt-get install -y nginx",
        "systemctl reload nginx",
    ]


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_score_is_stored_where_the_unit_says(root: Path) -> None:
    unit = (root / "etc/systemd/system/scoresvc@.service").read_text().replace("%i", "tetris").replace("%S", "/var/lib")
    _, program, serve = shlex.split(re.findall("^(ExecStart=.*)$", unit, re.M)[0].replace("=", " "))
    variable, _, config = re.findall("^Environment=(.*)$", unit, re.M)[0].partition("=")
    (folder,) = re.findall("^WorkingDirectory=(.*)$", unit, re.M)
    assert program == "/opt/scoresvc/bin/scoresvc"
    state = Path(f"{root}{folder}")
    state.mkdir(parents=True)
    port = free_port()
    with Path(f"{root}{config}").open("a") as file:
        file.write(f"[server]\nport = {port}\n")

    command = (sys.executable, "-m", "scoresvc", serve)
    service = Server(state, command=command, environ={variable: f"{root}{config}"}, port=port)
    with service, start_nginx(root / "nginx", port) as nginx:
        printed = run_session(nginx.port)

    assert printed == "4711=1500"
    assert (state / "scores.sqlite3").exists()


def run_session(port: int) -> str:
    """Runs the README's session with the first score; returns what it prints."""
    (session,) = [block for block in blocks("console") if "scores.example.com" in block]
    commands = "\n".join(line.removeprefix("$ ") for line in session.splitlines() if line.startswith("$ "))
    assert session.endswith("\n4711=1500\n")
    commands = commands.replace("scores.example.com", f"127.0.0.1:{port}").replace("curl ", "curl -sS ")
    result = subprocess.run(["bash", "-euc", commands], capture_output=True, text=True, timeout=20)
    assert result.stderr == ""
    return result.stdout


def test_the_readme_names_every_example() -> None:
    table = README.read_text(encoding="utf-8").split("| `scoresvc example` | prints |")[1].split("\n\n")[0]

    assert re.findall(r"`(\w+)`", "".join(line.split(" | ")[0] for line in table.splitlines())) == list(EXAMPLES)
