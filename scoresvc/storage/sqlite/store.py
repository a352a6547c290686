"""Opens what is stored in a SQLite database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from scoresvc.config import Config
from scoresvc.counters import Counters
from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.bars import bar_of_pages
from scoresvc.storage.purging import Purger
from scoresvc.storage.recent import RecentReads
from scoresvc.storage.sqlite import backups, check, migrate, restoring
from scoresvc.storage.sqlite.acting import Acting, Announcer
from scoresvc.storage.sqlite.admin import Admin
from scoresvc.storage.sqlite.appends import Appends, create_view
from scoresvc.storage.sqlite.backup_schedule import BackupSchedule, last_backup
from scoresvc.storage.sqlite.boards import Boards
from scoresvc.storage.sqlite.checked_posts import CheckedPostChanges
from scoresvc.storage.sqlite.connections import Readers, WritingConnection
from scoresvc.storage.sqlite.control import ControlThread
from scoresvc.storage.sqlite.control_socket import ControlSocket
from scoresvc.storage.sqlite.importing import Importing
from scoresvc.storage.sqlite.levels import Levels
from scoresvc.storage.sqlite.library import SQLITE_VERSION
from scoresvc.storage.sqlite.lists import Lists
from scoresvc.storage.sqlite.loop_reads import LoopBoards, LoopLevels
from scoresvc.storage.sqlite.maintenance import Maintenance
from scoresvc.storage.sqlite.messages import MessageStream
from scoresvc.storage.sqlite.posts import Scores
from scoresvc.storage.sqlite.remote_writer import EventLoop, RemoteWriter
from scoresvc.storage.sqlite.rules import Rules
from scoresvc.storage.sqlite.scores import ScoreChanges
from scoresvc.storage.sqlite.sessions import LoginRules, SessionChanges, Sessions
from scoresvc.storage.sqlite.sizes import SizeReader
from scoresvc.storage.sqlite.transactions import Transactions
from scoresvc.storage.sqlite.users import UserChanges, Users
from scoresvc.storage.sqlite.versions import LevelVersions, versions_path
from scoresvc.storage.sqlite.writer import Writer
from scoresvc.storage.sqlite.writer_process import WriterProcess
from scoresvc.storage.store import WRITE_WAIT_MAX, Store
from scoresvc.storage.users import NameRules

ENGINE = f"SQLite {SQLITE_VERSION}"


class Parts(NamedTuple):
    """What a process needs of a database besides its writer."""

    readers: Readers
    versions: LevelVersions
    lists: Lists
    rules: Rules
    names: NameRules
    counters: Counters
    checked_changes: CheckedPostChanges
    user_changes: UserChanges
    session_changes: SessionChanges
    acting: Acting
    importing: Importing
    maintenance: Maintenance

    def count_commit(self, writes: int) -> None:
        self.counters.add(self.counters.place_of("commits"), 1)
        self.counters.add(self.counters.place_of("commit_writes"), writes)

    def note_waiting(self, writes: int) -> None:
        self.counters.slots[self.counters.place_of("waiting_writes")] = writes

    def close(self) -> None:
        self.readers.close()
        self.versions.close()
        self.counters.close()


def open_store(config: Config, clock: Callable[[], float] | None, counted: Sequence[str]) -> Store:
    """Opens the database, brought up to date, with its writer in a thread; see `storage.open_store`."""
    clock = clock or time.time
    names = NameRules(config.users)
    database = open_database(config)
    parts = _open_parts(config, names, clock, counted)
    transactions = Transactions(database.connection, database.verify_files, parts.count_commit)
    writer = Writer(transactions, note_waiting=parts.note_waiting)
    control = ControlThread(ControlSocket(database.path), writer.begin, parts.acting.act, parts.importing.store)
    store = _make_store(config, parts, writer, clock, database.close)
    purger = Purger(store.sessions.delete_expired, store.scores.delete_old_keys, store.admin.maintain)
    purger.start()
    schedule = BackupSchedule(database.path, config.backup, config.levels)
    schedule.start()

    def close() -> None:
        control.close()
        schedule.stop()
        purger.stop()
        writer.stop()
        purger.join()
        parts.close()
        database.close()  # last: only a writing connection leaves no write-ahead log behind

    return store._replace(close=close)


def open_remote_store(config: Config, stream: MessageStream, loop: EventLoop, counted: Sequence[str]) -> Store:
    """Opens the database, whose writer is the process at the other end of `stream`; see RemoteWriter, `open_store`."""
    parts = _open_parts(config, NameRules(config.users), time.time, counted)
    writer = RemoteWriter(stream, loop, parts.note_waiting)

    def close() -> None:
        parts.close()
        writer.close()  # last: the writer's process then closes the database, as the only one that has it open

    return _make_store(config, parts, writer, time.time, close)


def run_writer(
    config: Config, streams: Sequence[MessageStream], announce: Callable[[], None], counted: Sequence[str]
) -> int:
    """Is the writer of the processes at the other ends of `streams`, until they have closed them.

    `announce` is called when the database is open and brought up to date. Returns the exit status of the
    process. Raises StartError with the reason.
    """
    names = NameRules(config.users)
    database = open_database(config)
    parts = _open_parts(config, names, time.time, counted)
    announce()
    transactions = Transactions(database.connection, database.verify_files, parts.count_commit)
    checked, sessions, users = parts.checked_changes, parts.session_changes, parts.user_changes
    scores = checked.scores
    changes = (
        scores.post, scores.post_and_rank, checked.post, sessions.log_in, users.enter, users.claim, users.rename,
        parts.acting.act, parts.importing.store,
    )  # fmt: skip
    purges = (sessions.purge, checked.purge, parts.maintenance.maintain)
    control = ControlSocket(database.path)
    schedule = BackupSchedule(database.path, config.backup, config.levels)
    schedule.start()
    status = WriterProcess(transactions, changes, purges, streams, control).run()
    schedule.stop()
    control.close()
    if status == 0:
        parts.close()
        database.close()  # last, see `open_store`
    return status


def open_database(config: Config) -> WritingConnection:
    database = WritingConnection(config.database.path, config.database.durability)
    try:
        migrate.migrate(database)
    except BaseException:
        database.close()
        raise
    database.prepare_for_writer()
    create_view(database.connection)
    return database


def _open_parts(config: Config, names: NameRules, clock: Callable[[], float], counted: Sequence[str]) -> Parts:
    path = config.database.path.resolve()
    try:
        versions = LevelVersions(versions_path(path))
        counters = Counters(counted, path.with_name(f"{path.name}.metrics"))
    except OSError as error:
        raise StartError(f"cannot use the database {path}: {error}") from None
    readers = Readers(path)
    rules = Rules(readers, versions, config.levels.defaults)
    lists = Lists(readers, versions, rules.settings_of)
    appends = Appends(clock, rules, config.history.keep, config.sessions.sessions_max)
    announcer = Announcer(versions)
    user_changes = UserChanges(announcer, versions, appends, names.are_unique)
    return Parts(
        readers,
        versions,
        lists,
        rules,
        names,
        counters,
        CheckedPostChanges(ScoreChanges(lists, appends, rules, clock), announcer, names.are_unique, clock),
        user_changes,
        SessionChanges(appends, versions, user_changes),
        Acting(announcer, config, clock),
        Importing(announcer, config, clock),
        Maintenance(announcer, config),
    )


def _make_store(
    config: Config,
    parts: Parts,
    writer: Writer | RemoteWriter,
    clock: Callable[[], float],
    close: Callable[[], None],
) -> Store:
    readers, versions = parts.readers, parts.versions
    users = Users(readers, versions, writer.begin, parts.user_changes, parts.names)
    known = users.known if config.users.logins == "anyone" else users.read  # a cache would tell who logged in lately
    login_rules = LoginRules(config.users, parts.names, known, parts.rules.ban_of)
    boards, levels = Boards(readers, versions, parts.lists, parts.rules, clock), Levels(readers, parts.rules, clock)
    store = Store(
        Sessions(readers, versions, writer.begin, parts.session_changes, login_rules, config.sessions.lifetime, clock),
        users,
        Scores(readers, writer.begin, parts.checked_changes, login_rules, parts.rules, config.history.tell_held, clock),
        boards,
        levels,
        Admin(readers, versions, writer.begin, parts.acting, parts.maintenance, config.levels, clock),
        ENGINE,
        migrate.newest_version(),
        parts.counters,
        SizeReader(config.database.path.resolve(), readers, clock).measure,
        partial(_find_fault, readers, writer),
        lambda: writer.state().oldest_write,
        partial(last_backup, config.backup.folder),
        RecentReads(),
        close,
    )
    return store._replace(for_loop=store._replace(boards=LoopBoards(boards), levels=LoopLevels(levels)))


def _find_fault(readers: Readers, writer: Writer | RemoteWriter) -> str:
    waited, fault = writer.state()
    if fault:
        return fault
    if waited > WRITE_WAIT_MAX:
        return f"a write has been waiting for {waited:.0f} s"
    try:
        readers.read("PRAGMA user_version", {})
    except Unavailable:
        return "the database cannot be read"
    return ""


def describe(config: Config) -> str:
    return f"{config.database.path.absolute()}"


def migrate_database(config: Config) -> list[str]:
    with closing(WritingConnection(config.database.path)) as database:
        return migrate.migrate(database)


def distribute_database(config: Config) -> NoReturn:
    raise StartError("SQLite cannot be distributed; [database] url names a database of PostgreSQL with citus")


def back_up(config: Config, to: Path, keep: int | None) -> Path:
    with bar_of_pages("backup") as on_pages:
        return backups.back_up(config.database.path, to, keep, config.levels, on_pages)


def restore(config: Config, backup: Path) -> Path | None:
    with bar_of_pages("restore") as on_pages:
        return restoring.restore(config.database.path, backup, config.levels, on_pages)


def find_faults(config: Config) -> Iterator[str]:
    return check.find_faults(config.database.path, config.levels)


def repair(config: Config) -> None:
    with closing(WritingConnection(config.database.path)) as database:
        check.repair(database, config.levels)
