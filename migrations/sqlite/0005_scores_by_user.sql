-- Scores are stored by user: a post to a level with days, weeks and months finds its boards side by side, and the index
-- by user goes. A post changes two trees instead of three, on fewer pages.
--
-- Rebuilding `scores` takes some seconds a million; a table cannot be renamed while triggers or views name it. These are
-- as in 0004_boards.sql, which says what they do.
DROP TRIGGER band_open;
DROP TRIGGER band_split;
DROP VIEW counted_bands;

CREATE TABLE user_scores (
    level_id   INTEGER NOT NULL CHECK (level_id BETWEEN 0 AND 2147483647),
    period     INTEGER NOT NULL,
    user_id    INTEGER NOT NULL CHECK (user_id BETWEEN 0 AND 2147483647),
    score      INTEGER NOT NULL CHECK (score BETWEEN 0 AND 2147483647),
    reached_at INTEGER NOT NULL,  -- Unix microseconds, later than that of an equal score that stood there before
    PRIMARY KEY (user_id, level_id, period)
) STRICT, WITHOUT ROWID;

INSERT INTO user_scores (level_id, period, user_id, score, reached_at)
SELECT level_id, period, user_id, score, reached_at FROM scores ORDER BY user_id, level_id, period;

DROP TABLE scores;
ALTER TABLE user_scores RENAME TO scores;

CREATE INDEX scores_by_rank ON scores (level_id, period, score DESC, reached_at, user_id);

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

CREATE TRIGGER score_insert AFTER INSERT ON scores BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.period, NEW.score, 1);
    INSERT INTO boards VALUES (NEW.level_id, NEW.period, 1) ON CONFLICT DO UPDATE SET players = players + 1;
END;

CREATE TRIGGER score_delete AFTER DELETE ON scores BEGIN
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.period, OLD.score, -1);
    UPDATE boards SET players = players - 1 WHERE level_id = OLD.level_id AND period = OLD.period;
END;

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
