"""Opens what is stored in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from scoresvc.config import Config
from scoresvc.counters import Counters
from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.postgres import check, copying, migrate
from scoresvc.storage.postgres.acting import QueuedActions
from scoresvc.storage.postgres.admin import SharedAdmin
from scoresvc.storage.postgres.boards import SharedBoards
from scoresvc.storage.postgres.checked_posts import CheckedPosts
from scoresvc.storage.postgres.clocks import make_clock
from scoresvc.storage.postgres.connections import connect_alone, log, without_password
from scoresvc.storage.postgres.forms import Forms, find_forms
from scoresvc.storage.postgres.levels import SharedLevels
from scoresvc.storage.postgres.lists import ListReader, LoopLists, ThreadLists
from scoresvc.storage.postgres.locks import LockedLevels
from scoresvc.storage.postgres.maintenance import SharedMaintenance
from scoresvc.storage.postgres.pool import ConnectionPool
from scoresvc.storage.postgres.reading import Reader, RefusingReader, WaitingReader
from scoresvc.storage.postgres.rules import make_post_rules, make_rules
from scoresvc.storage.postgres.scores import LoopScores, PipelinedScores, level_of
from scoresvc.storage.postgres.sessions import SharedSessions
from scoresvc.storage.postgres.transactions import PipelinedTransactions
from scoresvc.storage.postgres.users import SharedUsers, UserTransactions
from scoresvc.storage.purging import Purger
from scoresvc.storage.recent import RecentReads
from scoresvc.storage.store import COUNTERS, WRITE_WAIT_MAX, AdminAccess, Store
from scoresvc.storage.users import NameRules

ENGINE = "PostgreSQL"


class Node:
    """What a process has of the database: connections, and the threads that write and read for it."""

    def __init__(self, config: Config, clock: Callable[[], float] | None, counted: Sequence[str]) -> None:
        database, defaults = config.database, config.levels.defaults
        self._names = NameRules(config.users)
        self._levels = config.levels
        self.counters = _open_counters(config, counted)
        self.pool = ConnectionPool(database.url, database.connections, database.prepare)
        self.reader = WaitingReader(self.pool)
        forms = self._find_forms()
        transactions = PipelinedTransactions(self.pool, database.durability, self._count_commit, forms.settings)
        locked = LockedLevels(transactions.commit, level_of)
        self.writers = forms.make_writers(locked.commit, self._note_waiting)
        self._boards = forms.boards
        self.lists = ThreadLists(self.reader, forms.lists, defaults.order)
        self.loop_lists = LoopLists(self.pool, self.lists)
        self.rules = make_rules(self.reader, defaults)
        self._open_writing(config, forms, transactions, clock)
        self.sizes = forms.sizes(self.reader, clock)
        self.clock = make_clock(self.reader, clock)
        self.acting = QueuedActions(transactions, config, clock, self.rules.version)
        self.maintenance = SharedMaintenance(transactions, self.acting, config, clock)
        self._purger = Purger(self.sessions.delete_expired, self.scores.delete_old_keys, self.maintenance.maintain)
        self._purger.start()

    def _open_writing(
        self, config: Config, forms: Forms, transactions: PipelinedTransactions, clock: Callable[[], float] | None
    ) -> None:
        names = self._names
        self.user_transactions = UserTransactions(transactions)
        self.users = SharedUsers(self.reader, self.user_transactions, names)
        self.sessions = SharedSessions(
            self.reader, self.writers, self.user_transactions, config, names, clock, self.rules.version, forms.purge
        )
        rules, send = make_post_rules(config.levels.defaults, config.history.keep), forms.send_posts
        self.checked = CheckedPosts(transactions, send, rules, names.are_unique, forms.is_distributed, clock)
        self.scores = PipelinedScores(self.writers, self.checked, clock, send, rules, names, config.history.tell_held)

    def make_store(self) -> Store:
        """Raises Unavailable, with everything closed."""
        try:
            ((key, version),) = self.reader.read("SELECT key, current_setting('server_version') FROM cursor_key", {})
        except Unavailable:
            self.close()
            raise
        key = bytes(key)
        admin = SharedAdmin(
            self.reader, self.acting, self.maintenance, self._levels, self.clock, self.rules.version, key
        )
        store = Store(
            self.sessions,
            self.users,
            self.scores,
            self._make_boards(self.reader, self.lists, key),
            SharedLevels(self.reader, self.rules, self.clock, key),
            admin,
            f"{ENGINE} {version.split()[0]}",
            migrate.newest_version(),
            self.counters,
            self.sizes.measure,
            self._find_fault,
            self.writers.oldest,
            lambda: None,
            RecentReads(),
            self.close,
        )
        for_loop = self._make_loop_store(store, admin.reading_with(RefusingReader()), key)
        return store._replace(for_loop=for_loop, reads_wait=True)

    def _make_loop_store(self, store: Store, admin: SharedAdmin, key: bytes) -> Store:
        """Returns what does not wait for a server: it refuses what would have to."""
        refusing = RefusingReader()
        rules, clock = self.rules.reading_with(refusing), self.clock.reading_with(refusing)
        return store._replace(
            sessions=self.sessions.reading_with(refusing),
            users=self.users.reading_with(refusing),
            scores=LoopScores(self.scores),
            boards=self._make_boards(refusing, self.loop_lists, key),
            levels=SharedLevels(refusing, rules, clock, key),
            admin=admin,
            measure=refusing.refuse,
            find_fault=refusing.refuse,
        )

    def _make_boards(self, reader: Reader, lists: ListReader, key: bytes) -> SharedBoards:
        rules, clock = self.rules.reading_with(reader), self.clock.reading_with(reader)
        return self._boards(reader, lists, key, rules, clock)

    def close(self) -> None:
        self._purger.stop()
        self.loop_lists.close()
        self.acting.stop()
        self.user_transactions.stop()
        self.checked.stop()
        self.writers.stop()
        self.lists.stop()
        self._purger.join()
        self.pool.close()
        self.counters.close()

    def _find_forms(self) -> Forms:
        """Raises Unavailable, with everything closed."""
        try:
            with self.pool.lend_for_reading() as connection:
                return find_forms(connection)
        except Unavailable:
            self.pool.close()
            self.counters.close()
            raise

    def _count_commit(self, writes: int) -> None:
        self.counters.add(self.counters.place_of("commits"), 1)
        self.counters.add(self.counters.place_of("commit_writes"), writes)

    def _note_waiting(self, writes: int) -> None:
        self.counters.slots[self.counters.place_of("waiting_writes")] = writes

    def _find_fault(self) -> str:
        if (waited := self.writers.oldest()) > WRITE_WAIT_MAX:
            return f"a write has been waiting for {waited:.0f} s"
        try:
            self.pool.check()
        except Unavailable:
            return "there is no database that takes writes"
        return ""


def open_store(config: Config, clock: Callable[[], float] | None, counted: Sequence[str]) -> Store:
    """Opens the database, brought up to date, with writers in threads; see `storage.open_store`."""
    _prepare(config)
    try:
        return Node(config, clock, counted).make_store()
    except Unavailable:
        raise StartError(f"cannot read the database {describe(config)}") from None


@contextmanager
def open_admin(config: Config) -> Iterator[AdminAccess]:
    """See `storage.open_admin`."""
    with closing(open_store(config, None, COUNTERS)) as store:
        yield AdminAccess(store.admin, store.levels.settings_of)


def _prepare(config: Config) -> None:
    """Brings the database up to date; where no server takes writes, it must be so. Raises StartError."""
    try:
        migrate_database(config)
    except StartError as error:
        if not _can_be_read(config):
            raise
        log.error("%s; nothing can be posted until a server takes writes", error)


def _can_be_read(config: Config) -> bool:
    """Returns whether there is a read-only server with a database of this version."""
    with suppress(StartError), closing(connect_alone(config.database.url, "read-only")) as connection:
        return migrate.is_up_to_date(connection)
    return False


def _open_counters(config: Config, counted: Sequence[str]) -> Counters:
    """The processes of a node count together, in a file beside where a database of SQLite would be."""
    path = config.database.path.resolve()
    try:
        return Counters(counted, path.with_name(f"{path.name}.metrics"))
    except OSError as error:
        raise StartError(f"cannot use {error.filename or path}: {error.strerror}") from None


def describe(config: Config) -> str:
    return without_password(config.database.url)


def migrate_database(config: Config) -> list[str]:
    with closing(connect_alone(config.database.url)) as connection:
        return migrate.migrate(connection)


def copy_database(config: Config, path: Path) -> dict[str, int]:
    """Copies the SQLite database at `path` into this one, which has no scores; see `copying.copy_database`."""
    with closing(connect_alone(config.database.url)) as connection:
        migrate.migrate(connection)
        return copying.copy_database(path, connection)


def distribute_database(config: Config) -> list[str]:
    with closing(connect_alone(config.database.url)) as connection:
        if not migrate.has_citus(connection):
            raise StartError(
                f"{describe(config)} cannot be distributed without the extension citus; CREATE EXTENSION citus adds it"
            )
        return migrate.migrate(connection) + migrate.distribute(connection)


def back_up(config: Config, to: Path, keep: int | None) -> NoReturn:
    raise StartError("PostgreSQL is backed up by pg_dump, or by its provider")


def restore(config: Config, backup: Path) -> NoReturn:
    raise StartError("PostgreSQL is restored by pg_restore, or by its provider")


def find_faults(config: Config) -> Iterator[str]:
    with closing(connect_alone(config.database.url)) as connection:
        yield from check.find_faults(connection, config.levels)


def repair(config: Config) -> None:
    with closing(connect_alone(config.database.url)) as connection:
        check.repair(connection, config.levels)
