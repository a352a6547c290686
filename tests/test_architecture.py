"""Imports point one way, and SQL and sockets stay where they belong."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scoresvc"

# Each may import only from those before it.
ORDER = (
    "errors",
    "config",
    "log",
    "sqlite",
    "turns",
    "writer",
    "database",
    "migrate",
    "check",
    "changes",
    "cursors",
    "board",
    "store",
    "request",
    "handlers",
    "formats",
    "routes",
    "accept",
    "wsgi",
    "frames",
    "jsontcp",
    "serve",
    "rsgi",
    "granian",
    "cli",
    "__init__",
    "__main__",
)


def trees() -> list[tuple[str, ast.Module]]:
    return [(path.stem, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(PACKAGE.glob("*.py"))]


def imported(tree: ast.Module) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "scoresvc":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scoresvc."):
            names.add(str(node.module).split(".")[1])
    return names


def test_every_file_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(name for name, _ in trees())


@pytest.mark.parametrize(("name", "tree"), trees())
def test_a_file_imports_only_files_above_it(name: str, tree: ast.Module) -> None:
    assert imported(tree) <= set(ORDER[: ORDER.index(name)])


@pytest.mark.parametrize(("name", "tree"), trees())
def test_no_import_hides_inside_a_function(name: str, tree: ast.Module) -> None:
    hidden = [
        node.lineno
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


@pytest.mark.parametrize(("name", "tree"), trees())
def test_a_file_has_one_job(name: str, tree: ast.Module) -> None:
    job = (ast.get_docstring(tree) or "").splitlines()[0]

    assert job.endswith(".")


def test_sql_stays_in_few_files() -> None:
    with_sql = {
        path.stem
        for path in PACKAGE.glob("*.py")
        if re.search(r"\b(SELECT|INSERT INTO|DELETE FROM)\b", path.read_text())
    }

    assert with_sql == {"board", "check", "store"}
