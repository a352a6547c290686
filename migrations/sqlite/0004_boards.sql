-- Boards: a level has one for all time and, where its settings say so, one for each day, week and month, all filled by
-- the same posts. `period` names one so that people can read it: 0 all time, 20261125 a day, 2026048 a week (ISO 8601:
-- year and week), 202611 a month. A new period begins when its first score comes; nothing is ever moved.
--
-- A score that is better stands higher in the table. Where less is better, `score` is 2147483647 minus what was posted:
-- so indexes, ranks, pages and ties are the same for all levels. The program turns it at its edge; `submissions` has
-- what was posted.
--
-- Rebuilding `scores` takes some seconds a million; a table cannot be renamed while triggers or views name it.
DROP TRIGGER score_insert;
DROP TRIGGER score_delete;
DROP TRIGGER score_update;
DROP TRIGGER score_move;
DROP TRIGGER band_open;
DROP TRIGGER band_split;
DROP TRIGGER band_merge;
DROP TRIGGER band_step;
DROP VIEW band_steps;
DROP VIEW counted_bands;

CREATE TABLE board_scores (
    level_id   INTEGER NOT NULL CHECK (level_id BETWEEN 0 AND 2147483647),
    period     INTEGER NOT NULL,
    user_id    INTEGER NOT NULL CHECK (user_id BETWEEN 0 AND 2147483647),
    score      INTEGER NOT NULL CHECK (score BETWEEN 0 AND 2147483647),
    reached_at INTEGER NOT NULL,  -- Unix microseconds, later than that of an equal score that stood there before
    PRIMARY KEY (level_id, period, user_id)
) STRICT, WITHOUT ROWID;

INSERT INTO board_scores (level_id, period, user_id, score, reached_at)
SELECT level_id, 0, user_id, score, reached_at FROM scores ORDER BY level_id, user_id;

DROP TABLE scores;
ALTER TABLE board_scores RENAME TO scores;

CREATE INDEX scores_by_rank ON scores (level_id, period, score DESC, reached_at, user_id);
CREATE INDEX scores_by_user ON scores (user_id, level_id);

-- The latest time that any post has had, in Unix microseconds. A post that comes later by the clock is later than all
-- others; any other post has to be compared with the equal scores on its boards.
CREATE TABLE latest_post (
    accepted_at INTEGER NOT NULL
) STRICT;

INSERT INTO latest_post (accepted_at) SELECT coalesce(max(reached_at), 0) FROM scores;

-- Submissions: every accepted post, from which all boards can be made again. What an older version stored, or stored
-- while [history] keep was off, is in `scores` alone; it becomes a submission when something is to be done with it.
CREATE TABLE submissions (
    submission_id INTEGER PRIMARY KEY AUTOINCREMENT,  -- rising in the order in which they were accepted
    level_id      INTEGER NOT NULL,
    user_id       INTEGER NOT NULL,
    score         INTEGER NOT NULL,  -- as it was posted
    posted_at     INTEGER NOT NULL,  -- Unix microseconds: the `reached_at` of a score that stands
    day           INTEGER NOT NULL,  -- such as 20261125, in the zone that the level had then
    state         INTEGER NOT NULL DEFAULT 0,  -- 0 stands, 1 held, 2 removed
    meta          TEXT,
    action_id     INTEGER,  -- that changed the state last
    state_before  INTEGER,  -- that action
    follows       INTEGER   -- of one that was made of a score: the number of the user's submission before it, or 0
) STRICT;

CREATE INDEX submissions_by_level ON submissions (level_id);
CREATE INDEX submissions_by_user ON submissions (user_id, level_id);
CREATE INDEX submissions_held ON submissions (level_id) WHERE state = 1;
CREATE INDEX submissions_by_action ON submissions (action_id) WHERE action_id IS NOT NULL;

-- What is set for a level, as a JSON object of the settings that are not as [levels] has them.
CREATE TABLE level_settings (
    level_id INTEGER NOT NULL PRIMARY KEY CHECK (level_id BETWEEN 0 AND 2147483647),
    settings TEXT    NOT NULL
) STRICT;

CREATE TABLE bans (
    user_id INTEGER NOT NULL PRIMARY KEY CHECK (user_id BETWEEN 0 AND 2147483647),
    until   INTEGER,           -- Unix microseconds; NULL: for ever
    hide    INTEGER NOT NULL,  -- 1: the player is not told
    reason  TEXT    NOT NULL
) STRICT;

-- Who may call what is under /admin. The token itself is never stored, only its SHA-256.
CREATE TABLE tokens (
    name       TEXT    NOT NULL PRIMARY KEY,
    token_hash BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    rights     TEXT    NOT NULL,  -- with blanks between them
    levels     TEXT    NOT NULL,  -- such as 100-199, 7 or *
    expires_at INTEGER            -- Unix microseconds; NULL: never
) STRICT;

-- The audit log: what operators did. Erasing a user leaves the action without the user.
CREATE TABLE actions (
    action_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    acted_at      INTEGER NOT NULL,  -- Unix microseconds
    actor         TEXT    NOT NULL,  -- the name of the token
    kind          TEXT    NOT NULL,
    level_id      INTEGER,
    user_id       INTEGER,
    submission_id INTEGER,
    before        TEXT    NOT NULL,  -- JSON, as `after`
    after         TEXT    NOT NULL,
    undoes        INTEGER            -- the action that this one undid
) STRICT;

CREATE INDEX actions_by_user ON actions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX actions_by_level ON actions (level_id) WHERE level_id IS NOT NULL;

-- Ranks without counting every better score, as in 0003_bands.sql, but for each board. `boards` has how many players a
-- board has. The scores of a board of more than 4,096 are divided into bands: a row says how many players have a score
-- from `lowest_score` up to the next row of their board. A rank is one, plus the players of the bands above, plus the
-- players above in the score's own band, counted on the index scores_by_rank; without bands, all are counted there.
-- Triggers keep both tables exact for all that writes to `scores`; only REPLACE, which deletes without a trigger,
-- escapes them.
--
-- Bands split and merge like the blocks of a buddy allocator. The first one is as wide as all scores. A band of more
-- than 4,096 players splits into halves, down to the width of one score; halves that have at most 2,048 players
-- together merge. So a rank sums a few thousand rows at ten million players, and a better score changes two counts at
-- most. Keep this when you change it: a `width` is a power of two that divides `lowest_score`, or the halves do not
-- meet. What opens or splits a band counts in `scores`, so triggers there run AFTER, and a band is stepped before its
-- board. No constraint looks at `players`, because a count that somebody has edited must not refuse a score.
CREATE TABLE boards (
    level_id INTEGER NOT NULL,
    period   INTEGER NOT NULL,
    players  INTEGER NOT NULL,
    PRIMARY KEY (level_id, period)
) STRICT, WITHOUT ROWID;

INSERT INTO boards (level_id, period, players) SELECT level_id, 0, players FROM levels;

DROP TABLE levels;

CREATE TABLE board_bands (
    level_id     INTEGER NOT NULL,
    period       INTEGER NOT NULL,
    lowest_score INTEGER NOT NULL,
    width        INTEGER NOT NULL,
    players      INTEGER NOT NULL,
    PRIMARY KEY (level_id, period, lowest_score)
) STRICT, WITHOUT ROWID;

INSERT INTO board_bands (level_id, period, lowest_score, width, players)
SELECT level_id, 0, lowest_score, width, players FROM bands;

DROP TABLE bands;
ALTER TABLE board_bands RENAME TO bands;

-- The bands that there should be. Of two halves the upper is counted, the lower is the rest: most scores are low.
CREATE VIEW counted_bands (level_id, period, lowest_score, width, players) AS
  WITH RECURSIVE band (level_id, period, lowest_score, width, players) AS (
       SELECT level_id, period, 0, 2147483648, count(*)
         FROM scores
        GROUP BY level_id, period
        UNION ALL
       SELECT level_id, period, lowest_score + half * width / 2, width / 2,
              abs((1 - half) * players
                  - (SELECT count(*)
                       FROM scores
                      WHERE level_id = band.level_id
                        AND period = band.period
                        AND score >= band.lowest_score + band.width / 2
                        AND score < band.lowest_score + band.width))
         FROM band
         JOIN (SELECT 0 AS half UNION ALL SELECT 1)
        WHERE players > 4096 AND width > 1)
SELECT level_id, period, lowest_score, width, players
  FROM band
 WHERE (players <= 4096 OR width = 1) AND width < 2147483648;

-- A row inserted here adds `step` players to the band of a score: 1 where one enters, -1 where one leaves.
CREATE VIEW band_steps (level_id, period, score, step) AS SELECT NULL, NULL, NULL, NULL;

CREATE TRIGGER band_step INSTEAD OF INSERT ON band_steps BEGIN
    UPDATE bands
       SET players = players + NEW.step
     WHERE level_id = NEW.level_id
       AND period = NEW.period
       AND lowest_score = (SELECT max(lowest_score)
                             FROM bands
                            WHERE level_id = NEW.level_id AND period = NEW.period AND lowest_score <= NEW.score);
END;

CREATE TRIGGER score_insert AFTER INSERT ON scores BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.period, NEW.score, 1);
    INSERT INTO boards VALUES (NEW.level_id, NEW.period, 1) ON CONFLICT DO UPDATE SET players = players + 1;
END;

CREATE TRIGGER score_delete AFTER DELETE ON scores BEGIN
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.period, OLD.score, -1);
    UPDATE boards SET players = players - 1 WHERE level_id = OLD.level_id AND period = OLD.period;
END;

-- A better score that stays within its band changes nothing here.
CREATE TRIGGER score_update AFTER UPDATE OF score ON scores
WHEN NEW.level_id = OLD.level_id
 AND NEW.period = OLD.period
 AND EXISTS (SELECT 1
               FROM bands
              WHERE level_id = NEW.level_id
                AND period = NEW.period
                AND lowest_score > min(OLD.score, NEW.score)
                AND lowest_score <= max(OLD.score, NEW.score))
BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.period, NEW.score, 1);
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.period, OLD.score, -1);
END;

CREATE TRIGGER score_move AFTER UPDATE OF level_id, period ON scores
WHEN NEW.level_id <> OLD.level_id OR NEW.period <> OLD.period
BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.period, NEW.score, 1);
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.period, OLD.score, -1);
    INSERT INTO boards VALUES (NEW.level_id, NEW.period, 1) ON CONFLICT DO UPDATE SET players = players + 1;
    UPDATE boards SET players = players - 1 WHERE level_id = OLD.level_id AND period = OLD.period;
END;

CREATE TRIGGER band_open AFTER UPDATE OF players ON boards
WHEN NEW.players > 4096
 AND NOT EXISTS (SELECT 1 FROM bands WHERE level_id = NEW.level_id AND period = NEW.period)
BEGIN
    INSERT INTO bands (level_id, period, lowest_score, width, players)
    SELECT NEW.level_id, NEW.period, 0, 2147483648, count(*)
      FROM scores
     WHERE level_id = NEW.level_id AND period = NEW.period;
END;

-- One step splits once: players who crowd one end of a wide band take up to 31 steps to separate.
CREATE TRIGGER band_split AFTER UPDATE OF players ON bands WHEN NEW.players > 4096 AND NEW.width > 1 BEGIN
    INSERT INTO bands (level_id, period, lowest_score, width, players)
    SELECT NEW.level_id, NEW.period, half, NEW.width / 2,
           (SELECT count(*)
              FROM scores
             WHERE level_id = NEW.level_id
               AND period = NEW.period
               AND score >= half
               AND score < half + NEW.width / 2)
      FROM (SELECT NEW.lowest_score AS half UNION ALL SELECT NEW.lowest_score + NEW.width / 2)
     WHERE true
    ON CONFLICT DO UPDATE SET width = excluded.width, players = excluded.players;
END;

-- Of two halves, the lower begins at `lowest_score & ~width`, the upper at `lowest_score | width`; one begins at the
-- `lowest_score` of the other XOR `width`, which SQLite has to write as OR minus AND.
CREATE TRIGGER band_merge AFTER UPDATE OF players ON bands
WHEN NEW.players < OLD.players
 AND NEW.players + (SELECT players
                      FROM bands
                     WHERE level_id = NEW.level_id
                       AND period = NEW.period
                       AND lowest_score = (NEW.lowest_score | NEW.width) - (NEW.lowest_score & NEW.width)
                       AND width = NEW.width) <= 2048
BEGIN
    UPDATE bands
       SET width = 2 * width,
           players = players + (SELECT players
                                  FROM bands
                                 WHERE level_id = NEW.level_id
                                   AND period = NEW.period
                                   AND lowest_score = NEW.lowest_score | NEW.width)
     WHERE level_id = NEW.level_id AND period = NEW.period AND lowest_score = NEW.lowest_score & ~NEW.width;

    DELETE FROM bands
     WHERE level_id = NEW.level_id AND period = NEW.period AND lowest_score = NEW.lowest_score | NEW.width;
END;
