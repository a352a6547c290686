-- Sessions: who may post, and until when. The key itself is never stored, only its SHA-256.
CREATE TABLE sessions (
    key_hash   BLOB    NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    user_id    INTEGER NOT NULL CHECK (user_id BETWEEN 0 AND 2147483647),
    expires_at REAL    NOT NULL  -- Unix seconds
) STRICT, WITHOUT ROWID;

-- Ended sessions are purged in slices, oldest first.
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- A login may end the user's earlier sessions.
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Scores: the best of each user on each level.
CREATE TABLE scores (
    level_id   INTEGER NOT NULL CHECK (level_id BETWEEN 0 AND 2147483647),
    user_id    INTEGER NOT NULL CHECK (user_id BETWEEN 0 AND 2147483647),
    score      INTEGER NOT NULL CHECK (score BETWEEN 0 AND 2147483647),
    reached_at INTEGER NOT NULL,  -- Unix microseconds, rising among equal scores of a level
    PRIMARY KEY (level_id, user_id)
) STRICT, WITHOUT ROWID;

-- The high-score list is read from this index alone.
CREATE INDEX scores_by_rank ON scores (level_id, score DESC, reached_at, user_id);
