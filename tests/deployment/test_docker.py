"""The Dockerfile and the Compose file, as far as they can be tried without a Docker daemon.

The image is not built here. Its command and its health check run by hand, in a folder in the place of the volume.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scoresvc.examples import read_example
from tests.deployment.proxies import free_port
from tests.running import Server
from tests.serve.commands import ROOT


def command_of(instruction: str) -> list[str]:
    """The command of `CMD` or `HEALTHCHECK`, with this Python in the place of the image's."""
    (text,) = re.findall(rf"^{instruction}.*?(\[.*\])$", read_example("docker"), re.MULTILINE)
    program, *arguments = json.loads(text)
    assert program == "scoresvc"
    return [sys.executable, "-m", program, *arguments]


@pytest.mark.skipif(
    shutil.which("hadolint", path=str(Path(sys.executable).parent)) is None, reason="hadolint is not installed"
)
def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(read_example("docker"))
    hadolint = Path(sys.executable).parent / "hadolint"

    result = subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, text=True, timeout=20)

    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_all_that_is_copied_is_there() -> None:
    copied = [line.split()[1:-1] for line in read_example("docker").splitlines() if re.match("COPY [^-]", line)]

    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []
    assert {"setup.py", "scoresvc", "migrations"} <= {name for names in copied for name in names}


def test_the_container_does_not_run_as_root() -> None:
    users = re.findall("^USER (.*)$", read_example("docker"), re.MULTILINE)

    assert users == ["10001"]


def test_the_command_serves_from_the_volume_and_heeds_sigterm(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "config.ini").write_text(f"[server]\nport = {port}\n")

    with Server(tmp_path, command=command_of("CMD"), port=port) as server:
        _, key = server.call("GET", "/4711/login")
        assert server.call("POST", f"/2/score?sessionkey={key}", "1500") == (200, "")
        assert server.terminate() == 0

    assert (tmp_path / "scores.sqlite3").exists()


def test_the_health_check_asks_where_the_command_serves(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "config.ini").write_text(f"[server]\nport = {port}\n")

    result = subprocess.run(command_of("HEALTHCHECK"), cwd=tmp_path, capture_output=True, text=True, timeout=20)

    assert (result.returncode, result.stdout) == (1, "")
    assert f"http://127.0.0.1:{port}/health does not answer" in result.stderr


@pytest.fixture
def scores() -> dict[str, Any]:
    """The service of the Compose file."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    compose: dict[str, Any] = yaml.safe_load(read_example("compose"))
    assert compose["volumes"] == {"scores": None}
    service: dict[str, Any] = compose["services"]["scores"]
    return service


def test_the_scores_outlive_the_container(scores: dict[str, Any]) -> None:
    assert scores["volumes"] == ["scores:/data"]
    assert "VOLUME /data\n" in read_example("docker")
    assert scores["restart"] == "unless-stopped"


def test_the_port_is_that_of_the_image_and_open_to_this_machine_alone(scores: dict[str, Any]) -> None:
    assert scores["ports"] == ["127.0.0.1:8080:8080"]
    assert "EXPOSE 8080\n" in read_example("docker")


@pytest.mark.skipif(
    shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode,
    reason="docker compose is not installed",
)
def test_compose_takes_the_file(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(read_example("compose"))

    result = subprocess.run(
        ["docker", "compose", "config", "--quiet"], cwd=tmp_path, capture_output=True, text=True, timeout=20
    )

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(
    shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode,
    reason="no Docker daemon runs here: the image is not built, nor its HEALTHCHECK run by Docker",
)
def test_the_image_is_built(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(read_example("docker"))

    build = ["docker", "build", "--quiet", "--file", str(tmp_path / "Dockerfile"), str(ROOT)]
    result = subprocess.run(build, capture_output=True, text=True, timeout=50)

    assert result.returncode == 0, result.stderr
