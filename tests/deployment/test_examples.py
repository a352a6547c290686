"""`scoresvc example` prints each file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scoresvc.examples import EXAMPLES
from tests.serve.commands import ROOT, run

FOLDER = ROOT / "scoresvc" / "examples"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_printed_as_the_file_has_it(name: str, tmp_path: Path) -> None:
    result = run(tmp_path, "example", name)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (FOLDER / EXAMPLES[name]).read_text(encoding="utf-8")


def test_every_file_of_the_folder_has_a_name() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix != ".py" and path.is_file()}

    assert files == set(EXAMPLES.values())


def test_an_unknown_example_is_refused_with_the_names_that_there_are(tmp_path: Path) -> None:
    result = run(tmp_path, "example", "apache")

    assert result.returncode == 2
    assert all(name in result.stderr for name in EXAMPLES)


def test_the_examples_are_in_the_wheel(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    build = ("build", "--build-base", str(tmp_path), "egg_info", "--egg-base", str(tmp_path))

    subprocess.run([sys.executable, "setup.py", *build], cwd=ROOT, check=True, capture_output=True, timeout=60)

    built = {path.name for path in (tmp_path / "lib" / "scoresvc" / "examples").iterdir()}
    assert set(EXAMPLES.values()) <= built
