"""The unit is one that systemd takes, and shuts out nothing that the service needs.

Nothing here runs under systemd: what the running service asks of the kernel is held against what the unit allows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scoresvc.examples import read_example
from tests.deployment.proxies import replaced
from tests.running import Server

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
EXPOSURE_MAX = 2.0  # of 10, as systemd-analyze counts
OF_ROOT_ALONE = {"fchown"}  # SQLite gives its files to the owner of the database where it runs as root
SHUT_OUT = ("@privileged", "@resources")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program in the place of the service that is there."""
    path = tmp_path / "scoresvc@.service"
    path.write_text(replaced(read_example("systemd"), "/opt/scoresvc/bin/scoresvc", "/bin/true"))
    return path


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


@needs_systemd_analyze
def test_systemd_takes_the_unit(unit: Path) -> None:
    result = analyze("verify", unit.with_name("scoresvc@tetris.service"))

    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@needs_systemd_analyze
def test_the_service_is_exposed_to_little(unit: Path) -> None:
    result = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit)

    assert result.returncode == 0, result.stdout


def test_a_service_that_cannot_start_is_tried_again_for_ever() -> None:
    unit = read_example("systemd").splitlines()

    assert {"StartLimitIntervalSec=0", "Restart=always", "RestartSec=1"} <= set(unit)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """All system calls of the service while it starts, serves in several processes, reopens its log and shuts down."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    path = tmp_path / "trace"
    within = ("strace", "-D", "-f", "-qq", "-o", str(path))
    with Server(tmp_path, "--tcp-port", "0", within=within, processes=2) as server:
        _, key = server.call("GET", "/4711/login")
        assert server.call("POST", f"/2/score?sessionkey={key}", "1500")[0] == 200
        assert server.call("GET", "/2/highscorelist")[1] == "4711=1500"
        assert server.ask(method="GET", path="/2/highscorelist")["code"] == 200
        assert server.terminate() == 0
    return path.read_text(errors="replace")


def syscall_sets() -> dict[str, set[str]]:
    """The sets of system calls that systemd knows, each with the names in it, which may be those of sets."""
    sets: dict[str, set[str]] = {}
    for line in re.sub(r"\x1b\[[0-9;]*m", "", analyze("syscall-filter").stdout).splitlines():
        word = line.split("#")[0].strip()
        if line.startswith("@"):
            members = sets.setdefault(word, set())
        elif word:
            members.add(word)
    return sets


def members_of(name: str, sets: dict[str, set[str]]) -> set[str]:
    if not name.startswith("@"):
        return {name}
    return set().union(*(members_of(each, sets) for each in sets[name]))


@needs_systemd_analyze
def test_the_service_makes_only_system_calls_that_are_allowed(trace: str) -> None:
    sets = syscall_sets()
    unit = read_example("systemd")
    assert f"SystemCallFilter=@system-service\nSystemCallFilter=~{' '.join(SHUT_OUT)}\n" in unit

    allowed = members_of("@system-service", sets) - set().union(*(members_of(each, sets) for each in SHUT_OUT))
    made = set(re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE))

    assert {"execve", "mmap"} <= made
    assert made & {"fsync", "fdatasync"}  # as SQLite was built
    assert made - allowed - OF_ROOT_ALONE == set()


def test_the_service_needs_no_memory_that_is_writable_and_executable(trace: str) -> None:
    writable = re.findall(r"^.* mmap\(.*PROT_WRITE\|PROT_EXEC.*$", trace, re.MULTILINE)
    made_executable = re.findall(r"^.* (?:pkey_)?mprotect\(.*PROT_EXEC.*$", trace, re.MULTILINE)

    assert writable + made_executable == []


def test_the_service_opens_sockets_of_the_allowed_families_only(trace: str) -> None:
    (allowed,) = re.findall("^RestrictAddressFamilies=(.*)$", read_example("systemd"), re.MULTILINE)

    families = set(re.findall(r" socket(?:pair)?\((AF_\w+)", trace))

    assert "AF_INET" in families
    assert families <= set(allowed.split())


def test_the_service_reads_nothing_of_proc_but_processes(trace: str) -> None:
    opened = re.findall(r' open(?:at)?\([^"]*"/proc/([^"]*)".* = \d', trace)

    assert [path for path in opened if not re.match(r"self/|\d+/", path)] == []
