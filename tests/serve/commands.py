"""The commands of `scoresvc`, run as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# The service with another value for one of its limits.
SERVE_WITH_LIMIT = """
import sys
from scoresvc import limits
limits.{name} = {value}
limits.SWEEP_INTERVAL = 0.1
from scoresvc import cli
sys.exit(cli.main())
"""


def serve_with_limit(processes: int, name: str, value: float) -> tuple[str, ...]:
    program = SERVE_WITH_LIMIT.format(name=name, value=value)
    return (sys.executable, "-c", program, "serve", "--port", "0", "--processes", str(processes))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scoresvc", *arguments], cwd=folder, capture_output=True, text=True, timeout=20
    )


def assert_refused_in_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr
