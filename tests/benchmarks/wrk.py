"""Loads a server with wrk."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from tests.benchmarks.results import Load
from tests.running import Server

TIMEOUT = 30  # seconds; an answer that takes longer ends the measurement
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}


def require_wrk() -> None:
    """Ends the program with one line where there is no wrk."""
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: apt-get install wrk")


def load(server: Server, script: str, connections: int, seconds: int, *arguments: object) -> Load:
    """Loads `server` as `script`, in Lua, says; it gets the arguments. Raises RuntimeError as `read_load` does."""
    path = server.folder / "load.lua"
    path.write_text(script)
    options = ("-t1", f"-c{connections}", f"-d{seconds}", f"--timeout={TIMEOUT}", "--latency", f"-s{path}")
    command = ["wrk", *options, f"http://127.0.0.1:{server.port}", "--", *map(str, arguments)]
    return read_load(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def read_load(output: str) -> Load:
    """Reads what wrk printed. Raises RuntimeError where a connection failed or most answers were no success."""
    answers = int(_find(r"(\d+) requests in", output)[1])
    refused = int(_find(r"Non-2xx or 3xx responses: (\d+)|$", output)[1] or 0)
    if "Socket errors" in output or refused > answers / 2:
        raise RuntimeError(output)
    return Load(
        rate=float(_find(r"Requests/sec:\s+([\d.]+)", output)[1]) * (answers - refused) / answers,
        p99_ms=_milliseconds(r"99%\s+", output),
        longest_ms=_milliseconds(r"Latency(?:\s+\S+){2}\s+", output),
        refused=refused,
    )


def _milliseconds(before: str, output: str) -> float:
    found = _find(before + r"([\d.]+)(us|ms|s|m)\b", output)
    return float(found[1]) * MILLISECONDS[found[2]]


def _find(pattern: str, output: str) -> re.Match[str]:
    if found := re.search(pattern, output):
        return found
    raise RuntimeError(output)
