"""How much is stored in a database that Citus distributes, for the metrics."""

from __future__ import annotations

from scoresvc.storage.postgres.sizes import SharedSizes
from scoresvc.storage.store import Sizes

SCORES_COUNTED = 1_000_000  # at most, to find the players among them


class DistributedSizes(SharedSizes):
    """Above a million scores, the players are estimated from the same share of their numbers on every shard."""

    def _measure(self) -> Sizes:
        ((sessions, scores),) = self._reader.read(
            """
            SELECT (SELECT count(*)
                      FROM sessions
                     WHERE expires_at > coalesce(%(now)s::double precision,
                                                 extract(epoch FROM statement_timestamp()))),
                   (SELECT coalesce(sum(players), 0) FROM levels)
            """,
            {"now": self._clock() if self._clock else None},
        )
        ((players,),) = self._reader.read(
            "SELECT count(DISTINCT user_id) * %(step)s FROM scores WHERE user_id %% %(step)s = 0",
            {"step": 1 + int(scores) // SCORES_COUNTED},
        )
        ((database_bytes,),) = self._reader.read(
            """
            SELECT pg_database_size(current_database()) + coalesce(sum(result::bigint), 0)
              FROM run_command_on_workers('SELECT pg_database_size(current_database())')
             WHERE success
            """,
            {},
        )
        return Sizes(sessions, int(players), int(database_bytes))
