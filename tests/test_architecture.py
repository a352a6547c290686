"""Imports point one way, SQL and engines stay where they belong, and nothing grows too long to read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scoresvc"

# Each may import only from those before it. A package stands for all its modules, which have their own order below.
ORDER = (
    "client",
    "limits",
    "errors",
    "times",
    "names",
    "addresses",
    "rate_limits",
    "lookalikes",
    "blocked_names",
    "option_kinds",
    "levels",
    "config",
    "config_file",
    "examples",
    "health",
    "log",
    "counters",
    "scores",
    "periods",
    "actions",
    "tokens",
    "rows",
    "transfer",
    "storage",
    "pages",
    "api",
    "net",
    "tcp",
    "http",
    "service",
    "serve",
    "cli",
    "__init__",
    "__main__",
)

ORDER_WITHIN = {
    "errors": ("base", "requests", "boards", "users", "operators", "http", "__init__"),
    "examples": ("__init__",),
    "storage": (
        "write",
        "cache",
        "cursors",
        "keys",
        "recent",
        "keyed_posts",
        "migrations",
        "purging",
        "store",
        "bars",
        "users",
        "ledger",
        "pages",
        "user_pages",
        "rebuilding",
        "board_faults",
        "auditing",
        "submission_states",
        "bans",
        "level_changes",
        "renaming",
        "moderation",
        "admin_pages",
        "transfer_ledger",
        "importing_submissions",
        "importing_scores",
        "importing",
        "exporting",
        "passes",
        "sqlite.__init__",
        "sqlite.library",
        "sqlite.placing",
        "sqlite.marks",
        "sqlite.database_lock",
        "sqlite.foreign_logs",
        "sqlite.database_files",
        "sqlite.rescuing",
        "sqlite.connections",
        "sqlite.transactions",
        "sqlite.writer",
        "sqlite.progress",
        "sqlite.migrate",
        "sqlite.checkpoints",
        "sqlite.ranks",
        "sqlite.rank_repair",
        "sqlite.versions",
        "sqlite.sizes",
        "sqlite.touched",
        "sqlite.ledger_submissions",
        "sqlite.ledger_scores",
        "sqlite.ledger_users",
        "sqlite.ledger_rules",
        "sqlite.history",
        "sqlite.check",
        "sqlite.whole_files",
        "sqlite.backups",
        "sqlite.backup_schedule",
        "sqlite.restoring",
        "sqlite.rules",
        "sqlite.ledger",
        "sqlite.acting",
        "sqlite.transferring",
        "sqlite.importing",
        "sqlite.exporting",
        "sqlite.maintenance",
        "sqlite.admin",
        "sqlite.lists",
        "sqlite.late_times",
        "sqlite.appends",
        "sqlite.boards",
        "sqlite.levels",
        "sqlite.loop_reads",
        "sqlite.scores",
        "sqlite.checked_posts",
        "sqlite.users",
        "sqlite.sessions",
        "sqlite.posts",
        "sqlite.messages",
        "sqlite.control_socket",
        "sqlite.remote_writer",
        "sqlite.writer_process",
        "sqlite.control",
        "sqlite.store",
        "sqlite.shell",
        "sqlite.transfers",
        "postgres.__init__",
        "postgres.library",
        "postgres.connections",
        "postgres.hosts",
        "postgres.watch",
        "postgres.pool",
        "postgres.reading",
        "postgres.workers",
        "postgres.transactions",
        "postgres.locks",
        "postgres.migrate",
        "postgres.ranks",
        "postgres.copying",
        "postgres.sizes",
        "postgres.lists",
        "postgres.clocks",
        "postgres.rules",
        "postgres.user_boards",
        "postgres.boards",
        "postgres.outcomes",
        "postgres.results",
        "postgres.posting",
        "postgres.ledger_submissions",
        "postgres.ledger_scores",
        "postgres.ledger_users",
        "postgres.checked_posts",
        "postgres.scores",
        "postgres.session_changes",
        "postgres.distributed",
        "postgres.distributed_boards",
        "postgres.distributed_sizes",
        "postgres.counting",
        "postgres.distributed_posting",
        "postgres.distributed_writers",
        "postgres.forms",
        "postgres.ledger_rules",
        "postgres.ledger",
        "postgres.users",
        "postgres.sessions",
        "postgres.acting",
        "postgres.rank_repair",
        "postgres.history",
        "postgres.check",
        "postgres.maintenance",
        "postgres.admin",
        "postgres.levels",
        "postgres.store",
        "postgres.transferring",
        "postgres.exporting",
        "postgres.transfers",
        "__init__",
    ),
    "transfer": ("kinds", "tables", "writing", "reading", "__init__"),
    "pages": ("__init__", "documents", "boards", "admin", "docs"),
    "api": (
        "request",
        "negotiation",
        "kinds",
        "bodies",
        "etags",
        "cross_origin",
        "page_headers",
        "sent",
        "parameters",
        "page_parameters",
        "admin_kinds",
        "admin_parameters",
        "authorization",
        "formats",
        "admin_formats",
        "root",
        "metrics_text",
        "monitoring",
        "limits",
        "sessions",
        "users",
        "scores",
        "boards",
        "views",
        "levels",
        "pages",
        "admin",
        "call",
        "schemas",
        "openapi_examples",
        "openapi_parameters",
        "openapi",
        "openapi_calls",
        "page_calls",
        "admin_calls",
        "calls",
        "router",
        "metrics",
        "dispatch",
        "__init__",
    ),
    "net": ("accepting", "connections", "calling", "server", "lingering", "__init__"),
    "tcp": ("frames", "gateway", "protocol", "__init__"),
    "http": ("responses", "head", "wsgi", "chunks", "parsing", "answering", "protocol", "server", "__init__"),
    "serve": ("listeners", "loop", "servers", "processes", "__init__"),
    "cli": (
        "parsing",
        "serving",
        "database",
        "backups",
        "mapped_users",
        "transfers",
        "performing",
        "operating",
        "moderation",
        "deployment",
        "__init__",
    ),
}

MODULE_LINES_MAX = 300
LINES_MAX_OF = {"client": 400}  # a game copies the one file
CLASS_LINES_MAX = 150
FUNCTION_LINES_MAX = 30


def name_of(path: Path) -> str:
    """The name of a module within the package, such as `storage.sqlite.writer`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


SOURCES = {name_of(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}


def place(name: str) -> tuple[int, int]:
    """Where a module stands: the place of its package, then its own within that."""
    package, _, rest = name.partition(".")
    return ORDER.index(package), ORDER_WITHIN[package].index(rest) if rest else 0


def imported(tree: ast.Module) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "scoresvc":
            module = str(node.module).partition(".")[2]
            for alias in node.names:
                inner = f"{module}.{alias.name}".strip(".")
                candidates = (inner, f"{inner}.__init__", module, f"{module}.__init__")
                names.add(next(each for each in candidates if each in TREES))
    return names


def test_every_file_has_its_place_in_the_order() -> None:
    listed = [name for name in ORDER if name not in ORDER_WITHIN]
    listed += [f"{package}.{name}" for package, names in ORDER_WITHIN.items() for name in names]

    assert sorted(listed) == sorted(TREES)


@pytest.mark.parametrize("name", TREES)
def test_a_file_imports_only_files_above_it(name: str) -> None:
    below = [each for each in imported(TREES[name]) if place(each) >= place(name)]

    assert below == []


@pytest.mark.parametrize("name", [name for name in TREES if name != "__init__"])
def test_no_import_hides_inside_a_function(name: str) -> None:
    """But in the package itself, whose `app` is made at first use."""
    hidden = [
        node.lineno
        for function in ast.walk(TREES[name])
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


@pytest.mark.parametrize("name", TREES)
def test_a_file_has_one_job(name: str) -> None:
    job = (ast.get_docstring(TREES[name]) or "").splitlines()[0]

    assert job.endswith((".", ":"))


@pytest.mark.parametrize("name", TREES)
def test_nothing_is_too_long_to_read(name: str) -> None:
    limits = {
        ast.FunctionDef: FUNCTION_LINES_MAX,
        ast.AsyncFunctionDef: FUNCTION_LINES_MAX,
        ast.ClassDef: CLASS_LINES_MAX,
    }
    too_long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(TREES[name])
        for kind, lines_max in limits.items()
        if isinstance(node, kind) and node.end_lineno - node.lineno + 1 > lines_max
    ]

    assert too_long == []
    assert len(SOURCES[name].splitlines()) <= LINES_MAX_OF.get(name, MODULE_LINES_MAX)


def test_no_two_classes_have_one_name() -> None:
    names = [node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]

    assert sorted(names) == sorted(set(names))


def test_only_the_storage_has_sql_and_names_its_engine() -> None:
    sql = re.compile(r"\b(SELECT|INSERT INTO|DELETE FROM)\b")
    engine = re.compile(r"\b(sqlite3|pysqlite3|SQLite)\b")
    outside = {name: source for name, source in SOURCES.items() if not name.startswith("storage.")}
    meanings = outside.pop("config")  # the options of the engine say which it is

    assert [name for name, source in outside.items() if sql.search(source) or engine.search(source)] == []
    assert not sql.search(meanings)


def test_a_protocol_without_io_loads_no_server() -> None:
    program = "import sys, scoresvc.tcp.frames; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "scoresvc.tcp.frames" in loaded
    assert {"asyncio", "argparse", "waitress", "sqlite3", "scoresvc.storage"}.isdisjoint(loaded)
    own = [name for name in loaded if name.startswith("scoresvc") and not name.startswith("scoresvc.errors.")]
    assert len(own) <= 7
