"""The statements of a database that Citus distributes, other than those of posts and boards.

A level's rows are in one shard, and a session is in that of the hash of its key. See `distributed_posting.py`.
"""

from __future__ import annotations

# Calls a function that `distribute.sql` adds, which makes the settings on the node of the level, too: Citus sends it
# what SET LOCAL says, not what set_config does.
SETTINGS = "SELECT set_on_shards(%(durability)s, %(lock_timeout)s)"

# Each list is read on the node of its level, those of many levels on all their nodes at once. Citus finds the shards of
# a table only by what is said of that table itself, so the levels are named three times. $2 is the order of [levels].
LISTS = b"""
SELECT boards.level_id,
       (SELECT coalesce(string_agg(user_id || '=' || abs(turned.by - score), ',' ORDER BY score DESC, reached_at), '')
          FROM (SELECT user_id, score, reached_at
                  FROM scores
                 WHERE scores.level_id = boards.level_id AND scores.level_id = ANY($1::int[]) AND scores.period = 0
                 ORDER BY score DESC, reached_at, user_id
                 LIMIT 15) AS best)
  FROM boards
  LEFT JOIN level_settings AS own ON own.level_id = boards.level_id AND own.level_id = ANY($1::int[])
 CROSS JOIN LATERAL (
       SELECT CASE WHEN coalesce(own.settings ->> 'order', CASE WHEN own.settings IS NOT NULL THEN $2::text END) = 'asc'
                   THEN 2147483647 ELSE 0 END AS by) AS turned
 WHERE boards.level_id = ANY($1::int[]) AND boards.period = 0
"""

# Rows of many shards cannot be locked. Of two nodes that purge at once, one may be rolled back and run again.
PURGE = """
DELETE FROM sessions
 WHERE key_hash IN (SELECT key_hash
                      FROM sessions
                     WHERE expires_at <= coalesce(%(now)s::double precision,
                                                  extract(epoch FROM statement_timestamp()))
                     ORDER BY expires_at
                     LIMIT %(count)s)
"""
