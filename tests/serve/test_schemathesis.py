"""Schemathesis makes requests out of the OpenAPI document, and finds no answer that is not in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import Server
from tests.serve.commands import run

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

SECONDS = 50
# Not those that say how a request should have been refused, since there is more than one right way.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_requests_made_of_the_document_get_answers_that_are_in_it(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[limits]\nwrong_keys_per_address = 0\nnew_per_address = 0\n")
    with Server(tmp_path) as server:
        token = run(tmp_path, "token", "add", "schemathesis", "--rights", "all").stdout.strip()
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{server.port}/openapi.json",
            "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-time", str(SECONDS),
            "--header", f"Authorization: Bearer {token}", "--generation-deterministic",
        ]  # fmt: skip

        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=10 * SECONDS)

        assert result.returncode == 0, result.stdout
        assert server.call("GET", "/health") == (200, "ok")
    assert "Traceback" not in server.log
