-- Spreads the tables over the nodes of a Citus cluster, with the rows that they have: `scoresvc migrate --distribute`.
-- It may run again, and does what is missing. Needs the extension citus, and nodes (citus_add_node).
--
-- All rows of a level are in one shard: each statement of a post, a list or a rank is for one level, so it runs on one
-- node. Sessions are found by the hash of their key. The rest is small, and each node has all of it; but for keyed_posts,
-- which no other table is joined with: the coordinator alone has it.

-- What was done over several connections with a worker could not be followed by the functions in one transaction.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

SELECT create_distributed_table('boards', 'level_id', colocate_with := 'none')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'boards'::regclass);

SELECT create_distributed_table('scores', 'level_id', colocate_with := 'boards')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'scores'::regclass);

SELECT create_distributed_table('bands', 'level_id', colocate_with := 'boards')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'bands'::regclass);

SELECT create_distributed_table('submissions', 'level_id', colocate_with := 'boards')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'submissions'::regclass);

SELECT create_distributed_table('level_settings', 'level_id', colocate_with := 'boards')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'level_settings'::regclass);

SELECT create_distributed_table('sessions', 'key_hash', colocate_with := 'none')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'sessions'::regclass);

SELECT create_reference_table('bans')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'bans'::regclass);

SELECT create_reference_table('users')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'users'::regclass);

SELECT create_reference_table('tokens')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'tokens'::regclass);

SELECT create_reference_table('actions')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'actions'::regclass);

SELECT create_reference_table('cursor_key')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'cursor_key'::regclass);

SELECT create_reference_table('scoresvc_schema')
 WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'scoresvc_schema'::regclass);

-- The rows that are on the nodes now are no longer needed here.
SELECT truncate_local_data_after_distributing_table(name::regclass)
  FROM unnest('{boards,scores,bands,submissions,level_settings,sessions,bans,users}'::text[]
              || '{tokens,actions,cursor_key,scoresvc_schema}') AS name;

SELECT create_distributed_function('add_counts(integer[], integer[], bigint[])');
SELECT create_distributed_function('rank_of(integer, integer, integer)');
SELECT create_distributed_function('day_at(bigint, text)');
SELECT create_distributed_function('rules_at(jsonb, jsonb, bigint)');
SELECT create_distributed_function('kept_score(text, boolean, integer, integer, integer, bigint)');

-- Makes the settings of a transaction that writes, as storage/postgres/transactions.py has them, on the node of each
-- shard that it touches, too.
CREATE OR REPLACE FUNCTION set_on_shards(durability text, lock_timeout text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('citus.propagate_set_commands', 'local', true);
    EXECUTE format('SET LOCAL lock_timeout = %L', lock_timeout);
    SET LOCAL statement_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '5s';
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off;
    IF durability = 'process' THEN
        SET LOCAL synchronous_commit = off;
    ELSIF current_setting('synchronous_commit') = 'remote_apply' THEN
        SET LOCAL synchronous_commit = remote_apply;
    ELSE
        SET LOCAL synchronous_commit = on;
    END IF;
END
$$;
