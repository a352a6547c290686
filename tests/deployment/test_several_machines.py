"""The README's way to several nodes on a primary and its standby."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.proxies import free_port, replaced
from tests.postgres import USER, find_program, why_missing
from tests.running import call_url
from tests.test_readme import blocks

INSTALLING = "python3 -m venv .venv && .venv/bin/pip install '.[fast,postgres]'\n"

pytestmark = pytest.mark.skipif(bool(why_missing()), reason=why_missing())


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ports in the place of the README's."""
    return {port: f"{free_port()}" for port in ("5433", "5434", "8081", "8082", "8083")}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machines")
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o111)
    return folder


def commands(first: str, ports: dict[str, str]) -> str:
    (block,) = [block for block in blocks("sh") if block.startswith(first)]
    for port, free in ports.items():
        block = replaced(block, port, free) if port in block else block
    return block


def run_as_postgres(text: str, folder: Path) -> None:
    path = f"{find_program('initdb').parent}:{os.environ['PATH']}"  # type: ignore[union-attr]
    user = USER if os.geteuid() == 0 else None
    subprocess.run(
        ["bash", "-euc", text], cwd=folder, user=user, env={**os.environ, "PATH": path}, check=True, timeout=60
    )


@pytest.fixture
def databases(folder: Path, ports: dict[str, str]) -> Iterator[Path]:
    text = replaced(commands("initdb", ports), "-k /tmp", f"-k {folder}")
    try:
        run_as_postgres(text, folder)
        yield folder
    finally:
        run_as_postgres("for each in one two; do pg_ctl -D $each -m immediate stop || true; done", folder)


@pytest.fixture
def nodes(databases: Path, tmp_path: Path, ports: dict[str, str]) -> Iterator[list[str]]:
    text = replaced(
        commands("python3 -m venv .venv && .venv/bin/pip install '.[fast,postgres]'", ports), INSTALLING, ""
    )
    text = replaced(text, ".venv/bin/scoresvc", f"{sys.executable} -m scoresvc")
    text += "trap 'kill $(jobs -p); wait' TERM\nwait\n"
    shell = subprocess.Popen(["bash", "-uc", text], cwd=tmp_path)
    yield [f"http://127.0.0.1:{ports[port]}" for port in ("8081", "8082", "8083")]
    shell.terminate()
    shell.wait(20)


def test_a_login_on_one_node_posts_on_another_and_a_third_has_it_also_after_a_failover(
    nodes: list[str], databases: Path
) -> None:
    wait_for(nodes, "/ready")
    one, two, three = nodes

    key = call_url("GET", f"{one}/4711/login")[1]
    assert call_url("POST", f"{two}/2/score?sessionkey={key}", "1500") == (200, "")
    assert call_url("GET", f"{three}/2/highscorelist") == (200, "4711=1500")

    run_as_postgres("pg_ctl -D one -m immediate stop && pg_ctl -D two -w promote", databases)
    run_as_postgres("sed -i '/synchronous_standby_names/d' two/postgresql.conf && pg_ctl -D two reload", databases)
    wait_for(nodes, "/ready")
    assert call_url("POST", f"{two}/2/score?sessionkey={key}", "1600") == (200, "")
    assert call_url("GET", f"{three}/2/highscorelist") == (200, "4711=1600")


def wait_for(nodes: list[str], path: str) -> None:
    until = time.monotonic() + 20
    for node in nodes:
        while True:
            try:
                if call_url("GET", node + path)[0] == 200:
                    break
            except OSError:
                pass
            assert time.monotonic() < until
            time.sleep(0.1)
