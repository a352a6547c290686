from __future__ import annotations

import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.sqlite import connections as connections_module
from scoresvc.storage.sqlite import writer as module
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.library import sqlite3, supports_multiple_writers
from scoresvc.storage.sqlite.transactions import Change
from scoresvc.storage.sqlite.writer import LOCKED_QUEUE_MAX, LOCKED_TIMEOUT
from tests.storage.database import Database


@pytest.fixture
def broken() -> threading.Event:
    """Set when the writer has stopped for good; a served process would end."""
    return threading.Event()


@pytest.fixture
def database(database_path: Path, broken: threading.Event) -> Iterator[Database]:
    with closing(Database(database_path, on_broken=broken.set)) as database:
        database.write(execute, "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
        yield database


def insert(connection: sqlite3.Connection, rows: list[tuple[int, str]]) -> list[int]:
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    return [number for number, _ in rows]


def execute(connection: sqlite3.Connection, statements: list[str]) -> list[list[object]]:
    return [connection.execute(statement).fetchall() for statement in statements]


def numbers(database: Database) -> list[int]:
    return [number for (number,) in database.read("SELECT n FROM t ORDER BY n")]


class Hold:
    """Keeps the writer busy inside a change, so that others gather behind it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entered = threading.Event()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=database.write, args=(self._change, None))

    def _change(self, connection: sqlite3.Connection, rows: list[None]) -> list[None]:
        self._entered.set()
        self._leave.wait(10)
        return rows

    def __enter__(self) -> Hold:
        self._thread.start()
        self._entered.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave.set()
        self._thread.join()

    def wait_for(self, count: int) -> None:
        while self._database.writer._queue.qsize() < count:
            time.sleep(0.001)


def test_the_pragmas_hold_on_the_writing_connection(database: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")

    assert [database.write(execute, f"PRAGMA {name}") for name in names] == [[("wal",)], [(2,)], [(1,)], [(0,)]]


def test_durability_process_does_without_the_fsync_of_each_commit(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "p.sqlite3", durability="process")) as database:
        assert database.write(execute, "PRAGMA synchronous") == [(1,)]


def test_a_change_is_committed_when_its_result_is_there(database: Database, database_path: Path) -> None:
    assert database.write(insert, (7, "")) == 7

    with closing(sqlite3.connect(database_path)) as beside:
        assert beside.execute("SELECT n FROM t").fetchall() == [(7,)]


def test_changes_that_gather_are_committed_in_one_transaction(database: Database) -> None:
    transactions: list[str] = []

    def trace(connection: sqlite3.Connection, callbacks: list[object]) -> list[object]:
        connection.set_trace_callback(*callbacks)
        return callbacks

    database.write(trace, transactions.append)

    with ThreadPoolExecutor(20) as pool:
        with Hold(database) as hold:
            results = [pool.submit(database.write, insert, (number, "")) for number in range(20)]
            hold.wait_for(20)
        assert sorted(result.result() for result in results) == list(range(20))

    database.write(trace, None)
    assert sum(statement.startswith("INSERT") for statement in transactions) == 20
    assert transactions.count("COMMIT") == 3  # the first change, the hold, the twenty


def test_a_bad_change_fails_alone_and_leaves_nothing(database: Database) -> None:
    def bad(connection: sqlite3.Connection, rows: list[None]) -> list[None]:
        insert(connection, [(100, "")])
        raise KeyError("a bug")

    with ThreadPoolExecutor(3) as pool:
        with Hold(database) as hold:
            first = pool.submit(database.write, insert, (1, ""))
            hold.wait_for(1)
            failed = pool.submit(database.write, bad, None)
            hold.wait_for(2)
            last = pool.submit(database.write, insert, (2, ""))
            hold.wait_for(3)

        assert (first.result(), last.result()) == (1, 2)
        with pytest.raises(KeyError, match="a bug"):
            failed.result()
    assert numbers(database) == [1, 2]


def test_a_failed_commit_fails_its_whole_batch(database: Database) -> None:
    database.write(execute, "CREATE TABLE child (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)")

    with ThreadPoolExecutor(2) as pool:
        with Hold(database) as hold:
            good = pool.submit(database.write, insert, (1, ""))
            orphan = pool.submit(database.write, execute, "INSERT INTO child VALUES (99)")
            hold.wait_for(2)

        for result in (good, orphan):
            with pytest.raises(Unavailable):
                result.result()
    assert numbers(database) == []
    assert database.write(insert, (2, "")) == 2


def test_on_a_full_disk_reading_goes_on_and_writing_comes_back_with_the_room(database: Database) -> None:
    database.write(insert, (1, ""))
    (pages,) = database.read("PRAGMA page_count")[0]
    database.write(execute, f"PRAGMA max_page_count = {pages}")

    for _ in range(3):
        with pytest.raises(Unavailable):
            database.write(insert, (2, "x" * 100_000))
    assert numbers(database) == [1]

    database.write(execute, "PRAGMA max_page_count = 1000000")
    database.write(insert, (2, "x" * 100_000))
    assert numbers(database) == [1, 2]


def test_after_a_failed_fsync_the_writer_stops_for_good(database: Database, broken: threading.Event) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = 1034  # type: ignore[misc]

    def fail(connection: sqlite3.Connection, rows: list[None]) -> list[None]:
        connection.execute("ROLLBACK")  # as SQLite does
        raise error

    with pytest.raises(Unavailable):
        database.write(fail, None)

    assert broken.wait(10)
    with pytest.raises(Unavailable):
        database.write(insert, (1, ""))
    assert numbers(database) == []


def test_a_dead_writer_leaves_no_caller_waiting(database: Database, broken: threading.Event) -> None:
    with ThreadPoolExecutor(9) as pool:
        with Hold(database) as hold:
            dying = pool.submit(database.write, lambda connection, rows: sys.exit(), None)
            hold.wait_for(1)
            others = [pool.submit(database.write, insert, (number, "")) for number in range(8)]
            hold.wait_for(9)

        for result in (dying, *others):
            with pytest.raises(Unavailable):
                result.result(timeout=10)
    assert broken.wait(10)


def test_a_callback_runs_in_the_writer_s_thread_when_the_write_is_done(database: Database) -> None:
    called_by: queue.SimpleQueue[str] = queue.SimpleQueue()

    with Hold(database) as hold:
        write = database.begin(insert, (1, ""), str)
        hold.wait_for(1)
        write.add_done_callback(lambda done: called_by.put(threading.current_thread().name))
        assert called_by.empty()

    assert called_by.get(timeout=10) == "scoresvc-writer"
    assert write.result() == "1"


def test_all_writes_of_a_batch_are_announced_before_any_callback_runs(database: Database) -> None:
    noted: list[int] = []
    seen: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    noting = Change("insert", insert, after_commit=lambda connection, rows, outputs: noted.extend(outputs))

    with Hold(database) as hold:
        first = database.writer.begin(noting, (1, ""), int)
        database.writer.begin(noting, (2, ""), int)
        hold.wait_for(2)
        first.add_done_callback(lambda done: seen.put(list(noted)))

    assert seen.get(timeout=10) == [1, 2]


def test_closing_while_another_program_holds_the_database_waits_for_nothing(database_path: Path) -> None:
    database = Database(database_path)
    database.write(execute, "CREATE TABLE t (n INTEGER PRIMARY KEY)")

    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        database.close()
        seconds = time.monotonic() - started
        other.execute("ROLLBACK")

    assert seconds < LOCKED_TIMEOUT / 2


def test_a_callback_that_is_added_late_runs_at_once(database: Database) -> None:
    write = database.begin(insert, (1, ""), str)
    results: list[str] = []
    write.result()

    write.add_done_callback(lambda done: results.append(done.result()))

    assert results == ["1"]


def test_a_callback_runs_after_a_failure_too(database: Database) -> None:
    ended = threading.Event()
    with Hold(database) as hold:
        write = database.begin(lambda connection, rows: [1 / 0], None, str)
        hold.wait_for(1)
        write.add_done_callback(lambda done: ended.set())

    assert ended.wait(10)
    with pytest.raises(ZeroDivisionError):
        write.result()


def test_a_full_queue_is_refused_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 3)

    with ThreadPoolExecutor(2) as pool:
        with Hold(database) as hold:
            waiting = [pool.submit(database.write, insert, (number, "")) for number in range(2)]
            hold.wait_for(2)
            with pytest.raises(Unavailable):
                database.write(insert, (9, ""))
        assert [result.result() for result in waiting] == [0, 1]
    assert numbers(database) == [0, 1]


def test_while_another_program_holds_the_database_few_wait_and_readers_go_on(
    database: Database, database_path: Path
) -> None:
    database.write(insert, (1, ""))

    def seconds_until_refused(number: int) -> float:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            database.write(insert, (number, ""))
        return time.monotonic() - started

    with ThreadPoolExecutor(8) as pool, closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results = [pool.submit(seconds_until_refused, number) for number in range(2, 10)]
        assert numbers(database) == [1]
        refused_after = sorted(result.result() for result in results)
        other.execute("ROLLBACK")

    at_once, after_a_wait = refused_after[:-LOCKED_QUEUE_MAX], refused_after[-LOCKED_QUEUE_MAX:]
    assert at_once[-1] < 1
    assert LOCKED_TIMEOUT <= after_a_wait[0] <= after_a_wait[-1] < LOCKED_TIMEOUT + 1
    assert database.write(insert, (2, "")) == 2


def test_a_change_that_waits_for_another_program_is_made_when_that_is_done(
    database: Database, database_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool, closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = pool.submit(database.write, insert, (1, ""))
        while not database.transactions.is_locked_out:
            time.sleep(0.001)
        other.execute("ROLLBACK")

        assert result.result() == 1


def test_closing_commits_what_waits(database_path: Path) -> None:
    database = Database(database_path)
    database.write(execute, "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")

    with ThreadPoolExecutor(6) as pool:
        with Hold(database) as hold:
            results = [pool.submit(database.write, insert, (number, "")) for number in range(5)]
            hold.wait_for(5)
            closing_thread = threading.Thread(target=database.close)
            closing_thread.start()
        closing_thread.join()
        assert [result.result() for result in results] == list(range(5))
    with pytest.raises(Unavailable):
        database.write(insert, (9, ""))


def test_a_link_leads_to_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "real.sqlite3")

    with closing(Database(tmp_path / "link.sqlite3")):
        assert (tmp_path / "real.sqlite3.lock").exists()


def test_closing_leaves_no_write_ahead_log_behind(database_path: Path) -> None:
    database = Database(database_path)
    database.write(execute, "CREATE TABLE t (n INTEGER PRIMARY KEY)")
    database.read("SELECT n FROM t")

    database.close()

    assert not database_path.with_name(database_path.name + "-wal").exists()


@pytest.mark.parametrize("sql", ["SELECT n FROM nowhere", "SELEC n FROM t", "SELECT m FROM t"])
def test_a_bug_in_a_query_is_no_fault_of_the_database(database: Database, sql: str) -> None:
    with pytest.raises(sqlite3.OperationalError):
        database.read(sql)

    assert numbers(database) == []


def test_a_bug_in_a_change_is_no_fault_of_the_database(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        database.write(execute, "INSERT INTO nowhere VALUES (1)")

    assert database.write(insert, (1, "")) == 1


def test_a_page_of_the_file_that_is_damaged_makes_the_database_unavailable_and_closes_the_reader(
    database: Database, database_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        database.write(insert, (number, "x" * 500))
    database.close()
    with database_path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 10)

    with closing(Database(database_path)) as damaged:
        with pytest.raises(Unavailable):
            damaged.read("SELECT n, text FROM t")
        assert not damaged.readers._idle
    assert "malformed" in caplog.text


def test_a_disk_that_cannot_be_read_makes_the_database_unavailable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(connections_module, "connect_reading", fail)

    with pytest.raises(Unavailable):
        database.read("SELECT n FROM t")


def test_a_file_that_is_no_database_is_refused(database_path: Path) -> None:
    database_path.write_bytes(b"no database" * 100)

    with pytest.raises(StartError, match="file is not a database"):
        Database(database_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file or directory"):
        Database(tmp_path / "nowhere" / "scores.sqlite3")


def _open_elsewhere(path: Path, answers: multiprocessing.Queue[str]) -> None:
    try:
        WritingConnection(path).close()
    except StartError as error:
        answers.put(str(error))
    else:
        answers.put("opened")


def test_a_second_writing_process_is_refused_where_sqlite_does_not_support_it(
    database: Database, database_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=_open_elsewhere, args=(database_path, answers))

    process.start()
    answer = answers.get(timeout=30)
    process.join()
    answers.close()

    assert (answer == "opened") if supports_multiple_writers() else ("does not support two" in answer)


@pytest.mark.parametrize(
    ("version", "supported"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_multiple_writers_are_for_the_versions_without_the_wal_reset_bug(
    version: tuple[int, ...], supported: bool
) -> None:
    assert supports_multiple_writers(version) is supported
