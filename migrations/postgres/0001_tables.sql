-- Sessions: who may post, and until when. The key itself is never stored, only its SHA-256.
CREATE TABLE sessions (
    key_hash   bytea            NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    user_id    integer          NOT NULL CHECK (user_id >= 0),
    expires_at double precision NOT NULL  -- Unix seconds, by the clock of the database
);

-- Expired sessions are purged in slices, oldest first.
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- A login may end the user's earlier sessions.
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Scores: the best of each user on each level.
CREATE TABLE scores (
    level_id   integer NOT NULL CHECK (level_id >= 0),
    user_id    integer NOT NULL CHECK (user_id >= 0),
    score      integer NOT NULL CHECK (score >= 0),
    reached_at bigint  NOT NULL,  -- Unix microseconds, rising among equal scores of a level
    PRIMARY KEY (level_id, user_id)
) WITH (fillfactor = 90);

-- The high-score list is read from this index alone.
CREATE INDEX scores_by_rank ON scores (level_id, score DESC, reached_at, user_id);

-- All scores of one user.
CREATE INDEX scores_by_user ON scores (user_id, level_id);

-- Ranks without counting every better score. `levels` has how many players a level has; its row is the lock that every
-- post to the level takes first, so that counts, ranks and the order of equal scores are right whichever node posts.
-- The scores of a level of more than 1,024 players are counted in bands: those of width 2^28, and of each band that
-- grows past 1,024, at once or a moment later, the sixteen bands that divide it. Bands never split, move or merge; one
-- that `is_open` has its sixteen. A rank sums, for each width, the bands above within the band that is open, and
-- counts the players above inside the narrowest one.
--
-- The statements of a post keep the counts (storage/postgres/scores.py), not triggers: engines that distribute tables
-- have none on them. So a change of `scores` by hand leaves them wrong, until `scoresvc check --repair`.
CREATE TABLE levels (
    level_id  integer NOT NULL PRIMARY KEY,
    players   integer NOT NULL,
    narrowest integer NOT NULL DEFAULT 2147483647  -- no band of the level is narrower; without bands, 2147483647
) WITH (fillfactor = 50);

CREATE TABLE bands (
    level_id     integer NOT NULL,
    width        integer NOT NULL,  -- a power of sixteen
    lowest_score integer NOT NULL,  -- a multiple of the width
    players      integer NOT NULL,
    is_open      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (level_id, width, lowest_score)
) WITH (fillfactor = 50);

-- One plus the number of players of the level with a higher score. PL/pgSQL keeps the plan for the connection.
CREATE FUNCTION rank_of(of_level integer, of_score integer) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT 1 + above.players
                 + (SELECT count(*)
                      FROM scores
                     WHERE level_id = of_level
                       AND score > of_score
                       AND score < of_score - of_score % above.narrowest + above.narrowest)
          FROM (SELECT coalesce(sum(band.players) FILTER (WHERE band.lowest_score > of_score), 0) AS players,
                       coalesce(min(band.width), 2147483648) AS narrowest
                  FROM (VALUES (268435456::bigint, 2147483648::bigint), (16777216, 268435456), (1048576, 16777216),
                               (65536, 1048576), (4096, 65536), (256, 4096), (16, 256), (1, 16))
                               AS digit (width, wider)
                  JOIN bands AS band
                    ON band.level_id = of_level
                   AND band.width = digit.width
                   AND band.lowest_score >= of_score - of_score % digit.width
                   AND band.lowest_score < of_score - of_score % digit.wider + digit.wider) AS above);
END
$$;

-- Signs the cursors of pages, so that no other database's are taken.
CREATE TABLE cursor_key (
    key bytea NOT NULL CHECK (length(key) = 32)
);

INSERT INTO cursor_key (key) VALUES (sha256(gen_random_uuid()::text::bytea || gen_random_uuid()::text::bytea));
