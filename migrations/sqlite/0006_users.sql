-- Users: who has a secret, a name or a number that the game's own server knows by a text. A user without any of them has
-- no row; all that is about scores, sessions and bans is in their own tables.
CREATE TABLE users (
    user_id     INTEGER NOT NULL PRIMARY KEY CHECK (user_id BETWEEN 0 AND 2147483647),
    secret_hash BLOB CHECK (length(secret_hash) = 32),  -- SHA-256 of the secret; NULL: anyone may log in as this user
    name        TEXT,
    folded_name TEXT,  -- the form in which names are compared, see scoresvc/lookalikes.py
    external    TEXT   -- by which the game's own server knows the user
) STRICT;

CREATE INDEX users_by_folded_name ON users (folded_name) WHERE folded_name IS NOT NULL;
CREATE UNIQUE INDEX users_by_external ON users (external) WHERE external IS NOT NULL;

-- Posts that came with an idempotency key, for a day: who repeats one gets the answer again.
CREATE TABLE keyed_posts (
    user_id   INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    level_id  INTEGER NOT NULL,
    score     INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,  -- Unix microseconds
    answer    BLOB    NOT NULL,  -- what the post changed, as MessagePack
    PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keyed_posts_by_time ON keyed_posts (stored_at);

-- What was sent with the score that stands on a board is found by its time.
CREATE INDEX submissions_with_meta ON submissions (user_id, level_id, posted_at) WHERE meta IS NOT NULL;
