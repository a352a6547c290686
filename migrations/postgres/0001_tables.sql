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
    previous   integer,           -- the best before, which the statement that stores a better one gives back
    reached_at bigint  NOT NULL,  -- Unix microseconds, rising among equal scores of a level
    PRIMARY KEY (level_id, user_id)
) WITH (fillfactor = 90);

-- The high-score list is read from this index alone.
CREATE INDEX scores_by_rank ON scores (level_id, score DESC, reached_at, user_id);

-- All scores of one user.
CREATE INDEX scores_by_user ON scores (user_id, level_id);

-- Ranks without counting every better score. `levels` has how many players a level has; its row is the lock that every
-- post to the level takes first, so that counts, ranks and the order of equal scores are right whichever node posts.
--
-- The scores of a level of more than 1,024 players are counted in bands, 256 in a row: `counts[n]` is the number of
-- players with a score from `lowest_score + (n - 1) * width` up to the next band. A level has one row of bands that are
-- 2^24 wide, and for a band that has grown past 1,024 players, at once or a moment later, a row of the bands that
-- divide it. A rank is one, plus in each row that has a band of the score the bands above it, plus the players above in
-- the narrowest of these bands, counted on the index scores_by_rank. Rows never split, move or merge. A row with
-- many counts is much cheaper than a row a count: a better score changes up to two counts of each width, but 256 posts
-- change most of the same rows.
--
-- The statements of a post keep the counts (storage/postgres/scores.py), not triggers: engines that distribute tables
-- have none on them. So a change of `scores` by hand leaves them wrong, until `scoresvc check --repair`.
CREATE TABLE levels (
    level_id  integer NOT NULL PRIMARY KEY,
    players   integer NOT NULL,
    narrowest integer NOT NULL DEFAULT 2147483647  -- no band of the level is narrower; without bands, 2147483647
) WITH (fillfactor = 50);

CREATE TABLE bands (
    level_id     integer   NOT NULL,
    width        integer   NOT NULL,  -- of each band: 2^24, 2^16, 2^8, 1
    lowest_score integer   NOT NULL,  -- of the first band: a multiple of 256 widths
    counts       integer[] NOT NULL,
    PRIMARY KEY (level_id, width, lowest_score)
) WITH (fillfactor = 50);

-- Returns `counts` with `changes[n]` added at `places[n]`.
CREATE FUNCTION add_counts(counts integer[], places integer[], changes bigint[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    FOR n IN 1 .. array_length(places, 1) LOOP
        counts[places[n]] := counts[places[n]] + changes[n];
    END LOOP;
    RETURN counts;
END
$$;

-- Returns one plus the number of players of the level with a higher score. PL/pgSQL keeps the plan.
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
          FROM (SELECT coalesce(sum((SELECT sum(count)
                                       FROM unnest(counts[of_score / row.width % 256 + 2:]) AS count)), 0) AS players,
                       coalesce(min(row.width), 2147483648) AS narrowest
                  FROM (VALUES (16777216::bigint), (65536), (256), (1)) AS digit (width)
                  JOIN bands AS row
                    ON row.level_id = of_level
                   AND row.width = digit.width
                   AND row.lowest_score = of_score - of_score % (256 * digit.width)) AS above);
END
$$;

-- Signs the cursors of pages, so that no other database's are taken.
CREATE TABLE cursor_key (
    key bytea NOT NULL CHECK (length(key) = 32)
);

INSERT INTO cursor_key (key) VALUES (sha256(gen_random_uuid()::text::bytea || gen_random_uuid()::text::bytea));
