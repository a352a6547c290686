"""The forms of statements, writers and readers, for a database on one server or distributed by Citus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from scoresvc.storage.postgres import distributed, distributed_posting, lists, posting, session_changes, transactions
from scoresvc.storage.postgres.boards import SharedBoards
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.distributed_boards import DistributedBoards
from scoresvc.storage.postgres.distributed_sizes import DistributedSizes
from scoresvc.storage.postgres.distributed_writers import LevelWriters
from scoresvc.storage.postgres.migrate import is_distributed
from scoresvc.storage.postgres.posting import PostBatch
from scoresvc.storage.postgres.results import StoreResult
from scoresvc.storage.postgres.sizes import SharedSizes
from scoresvc.storage.postgres.workers import Batch, Workers, Writers

if TYPE_CHECKING:
    from typing_extensions import LiteralString

WRITERS = 1  # threads; with two, each batch is half as large, and the interpreter's lock changes hands more often


class Forms(NamedTuple):
    settings: LiteralString
    send_posts: Callable[[Connection, PostBatch], StoreResult]
    is_distributed: bool  # so that each level takes a transaction of its own
    lists: bytes
    purge: LiteralString
    boards: type[SharedBoards]
    sizes: type[SharedSizes]
    make_writers: Callable[[Callable[[Batch], object], Callable[[int], object]], Writers]  # of what commits and counts


ONE_SERVER = Forms(
    transactions.SETTINGS,
    posting.send_batch,
    False,
    lists.LISTS,
    session_changes.PURGE,
    SharedBoards,
    SharedSizes,
    partial(Workers, "writer", WRITERS),
)
DISTRIBUTED = Forms(
    distributed.SETTINGS,
    distributed_posting.send_level,
    True,
    distributed.LISTS,
    distributed.PURGE,
    DistributedBoards,
    DistributedSizes,
    partial(LevelWriters, "writer"),
)


def find_forms(connection: Connection) -> Forms:
    """Returns those that the database needs."""
    return DISTRIBUTED if is_distributed(connection) else ONE_SERVER
