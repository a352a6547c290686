-- Users: who has a secret, a name or a number that the game's own server knows by a text. A user without any of them has
-- no row; all that is about scores, sessions and bans is in their own tables.
CREATE TABLE users (
    user_id     integer NOT NULL PRIMARY KEY CHECK (user_id >= 0),
    secret_hash bytea CHECK (length(secret_hash) = 32),  -- SHA-256 of the secret; NULL: anyone may log in as this user
    name        text,
    folded_name text,  -- the form in which names are compared, see scoresvc/lookalikes.py
    external    text   -- by which the game's own server knows the user
);

CREATE INDEX users_by_folded_name ON users (folded_name) WHERE folded_name IS NOT NULL;
CREATE INDEX users_by_external ON users (external) WHERE external IS NOT NULL;

-- Posts that came with an idempotency key, for a day: who repeats one gets the answer again.
CREATE TABLE keyed_posts (
    user_id   integer NOT NULL,
    key       text    NOT NULL,
    level_id  integer NOT NULL,
    score     integer NOT NULL,
    stored_at bigint  NOT NULL,  -- Unix microseconds
    answer    bytea,  -- what the post changed, as MessagePack; NULL only within its transaction
    PRIMARY KEY (user_id, key)
);

CREATE INDEX keyed_posts_by_time ON keyed_posts (stored_at);

-- What was sent with the score that stands on a board is found by its time.
CREATE INDEX submissions_with_meta ON submissions (level_id, user_id, posted_at) WHERE meta IS NOT NULL;

-- Where the other tables are distributed with Citus, each node has all users; only the coordinator has keyed_posts.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        PERFORM create_reference_table('users')
          WHERE EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'scores'::regclass);
    END IF;
END
$$;
