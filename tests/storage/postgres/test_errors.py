"""What every error of PostgreSQL comes to: the transaction is run again, the client gets 503, or it is a bug."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from webtest import TestApp

from scoresvc.errors import Unavailable
from scoresvc.periods import WISH_ALL
from scoresvc.storage.postgres.library import is_fault, is_retried, psycopg
from tests.conftest import make_app
from tests.storage.postgres.conftest import OpenNode

pytestmark = pytest.mark.postgres

CODES = sorted(
    str(each.sqlstate)
    for each in (vars(psycopg.errors).values() if psycopg else ())
    if isinstance(each, type) and isinstance(getattr(each, "sqlstate", None), str)
)
RETRIED = {"40001", "40P01"}
FAULTS = {"25006", "25P03", "25P04", "40003", "55006", "55P03", "72000"}
FAULT_CLASSES = {"08", "28", "3D", "53", "57", "58", "F0", "XX"}
BUG_CLASSES = {
    "02", "03", "07", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22", "23", "24", "25", "26", "27",
    "2B", "2D", "2F", "34", "38", "39", "3B", "3F", "40", "42", "44", "54", "55", "72", "HV", "P0",
}  # fmt: skip


def error_of(code: str) -> Exception:
    return psycopg.errors.lookup(code)("made up")


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_place(code: str) -> None:
    error = error_of(code)

    assert is_retried(error) == (code in RETRIED)
    assert is_fault(error) == (code in RETRIED | FAULTS or code[:2] in FAULT_CLASSES)
    assert code[:2] in FAULT_CLASSES | BUG_CLASSES  # else somebody has to think about a new class


def test_there_are_codes() -> None:
    assert len(CODES) > 200


@pytest.mark.parametrize("kind", ["OperationalError", "InterfaceError"])
def test_an_error_without_a_code_is_a_connection_that_was_lost(kind: str) -> None:
    assert is_fault(getattr(psycopg, kind)("made up"))


@pytest.mark.parametrize("kind", ["ProgrammingError", "NotSupportedError", "DataError"])
def test_an_error_of_the_library_itself_is_a_bug(kind: str) -> None:
    assert not is_fault(getattr(psycopg, kind)("made up"))


@contextmanager
def failing_level_13(url: str, code: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'made up by a trigger' USING ERRCODE = '{code}'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON scores FOR EACH ROW WHEN (NEW.level_id = 13) EXECUTE FUNCTION fail();
            """.encode()
        )
        yield
        connection.execute("DROP FUNCTION fail CASCADE")


@pytest.fixture
def app(url: str, open_node: OpenNode) -> TestApp:
    return make_app(open_node(url))


@pytest.mark.parametrize("code", ["22003", "23514", "42883", "P0001", "55000"])
def test_a_bug_is_500_with_a_traceback_in_the_log_and_nothing_of_it_for_the_client(
    url: str, app: TestApp, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = app.get("/7/login").text
    with failing_level_13(url, code):
        response = app.post(f"/13/score?sessionkey={key}", "5", status=500)
        app.post(f"/14/score?sessionkey={key}", "5", status=200)

    assert "made up" not in response.text
    assert any(record.exc_info and "made up" in str(record.exc_info[1]) for record in caplog.records)


@pytest.mark.parametrize("code", ["53100", "57014", "58030", "XX000", "40001"])
def test_a_fault_is_503_with_retry_after_and_one_line_in_the_log(
    url: str, app: TestApp, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = app.get("/7/login").text
    with failing_level_13(url, code), caplog.at_level(logging.WARNING):
        response = app.post(f"/13/score?sessionkey={key}", "5", status=503)
        app.post(f"/14/score?sessionkey={key}", "5", status=200)

    assert response.headers["Retry-After"] == "1"
    assert [record.exc_info for record in caplog.records if "made up" in record.getMessage()] == [None]


def test_posts_beside_a_bug_in_the_same_batch_are_stored(url: str, open_node: OpenNode) -> None:
    store = open_node(url)
    with failing_level_13(url, "22003"):
        posts = [store.scores.post(level, 7, 5) for level in range(20)]
        errors = [level for level, post in enumerate(posts) if _fails(post.result)]

    assert errors == [13]
    assert [level for level, _ in store.boards.bests(7, WISH_ALL)] == [level for level in range(20) if level != 13]


def _fails(result: Callable[[], object]) -> bool:
    try:
        result()
    except Unavailable:
        raise
    except Exception:
        return True
    return False
