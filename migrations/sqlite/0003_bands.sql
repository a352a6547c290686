-- Ranks without counting every better score. `levels` has how many players a level has. The scores of a level of more
-- than 4,096 are divided into bands: a row says how many players have a score from `lowest_score` up to the next row of
-- their level. A rank is one, plus the players of the bands above, plus the players above in the score's own band,
-- counted on the index scores_by_rank; without bands, all are counted there. Triggers keep both tables exact for all that
-- writes to `scores`; only REPLACE, which deletes without a trigger, escapes them.
--
-- Bands split and merge like the blocks of a buddy allocator. The first one is as wide as all scores. A band of more
-- than 4,096 players splits into halves, down to the width of one score; halves that have at most 2,048 players
-- together merge. So a rank sums a few thousand rows at ten million players, and a better score changes two counts at
-- most. Keep this when you change it: a `width` is a power of two that divides `lowest_score`, or the halves do not
-- meet. What opens or splits a band counts in `scores`, so triggers there run AFTER, and a band is stepped before its
-- level. No constraint looks at `players`, because a count that somebody has edited must not refuse a score.
DROP TRIGGER rank_enter;
DROP TRIGGER rank_leave;
DROP TRIGGER rank_move;
DROP VIEW rank_blocks_anew;
DROP VIEW rank_groups_anew;
DROP TABLE rank_blocks;
DROP TABLE rank_groups;

CREATE TABLE levels (
    level_id INTEGER NOT NULL PRIMARY KEY,
    players  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bands (
    level_id     INTEGER NOT NULL,
    lowest_score INTEGER NOT NULL,
    width        INTEGER NOT NULL,
    players      INTEGER NOT NULL,
    PRIMARY KEY (level_id, lowest_score)
) STRICT, WITHOUT ROWID;

-- The bands that there should be. Of two halves the upper is counted, the lower is the rest: most scores are low.
CREATE VIEW counted_bands (level_id, lowest_score, width, players) AS
  WITH RECURSIVE band (level_id, lowest_score, width, players) AS (
       SELECT level_id, 0, 2147483648, count(*)
         FROM scores
        GROUP BY level_id
        UNION ALL
       SELECT level_id, lowest_score + half * width / 2, width / 2,
              abs((1 - half) * players
                  - (SELECT count(*)
                       FROM scores
                      WHERE level_id = band.level_id
                        AND score >= band.lowest_score + band.width / 2
                        AND score < band.lowest_score + band.width))
         FROM band
         JOIN (SELECT 0 AS half UNION ALL SELECT 1)
        WHERE players > 4096 AND width > 1)
SELECT level_id, lowest_score, width, players
  FROM band
 WHERE (players <= 4096 OR width = 1) AND width < 2147483648;

INSERT INTO bands (level_id, lowest_score, width, players)
SELECT level_id, lowest_score, width, players FROM counted_bands;

INSERT INTO levels (level_id, players)
SELECT level_id, count(*) FROM scores GROUP BY level_id;

-- A row inserted here adds `step` players to the band of a score: 1 where one enters, -1 where one leaves.
CREATE VIEW band_steps (level_id, score, step) AS SELECT NULL, NULL, NULL;

CREATE TRIGGER band_step INSTEAD OF INSERT ON band_steps BEGIN
    UPDATE bands
       SET players = players + NEW.step
     WHERE level_id = NEW.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM bands
                            WHERE level_id = NEW.level_id AND lowest_score <= NEW.score);
END;

CREATE TRIGGER score_insert AFTER INSERT ON scores BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.score, 1);
    INSERT INTO levels VALUES (NEW.level_id, 1) ON CONFLICT DO UPDATE SET players = players + 1;
END;

CREATE TRIGGER score_delete AFTER DELETE ON scores BEGIN
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.score, -1);
    UPDATE levels SET players = players - 1 WHERE level_id = OLD.level_id;
END;

-- A better score that stays within its band changes nothing here.
CREATE TRIGGER score_update AFTER UPDATE OF score ON scores
WHEN NEW.level_id = OLD.level_id
 AND EXISTS (SELECT 1
               FROM bands
              WHERE level_id = NEW.level_id
                AND lowest_score > min(OLD.score, NEW.score)
                AND lowest_score <= max(OLD.score, NEW.score))
BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.score, 1);
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.score, -1);
END;

CREATE TRIGGER score_move AFTER UPDATE OF level_id ON scores WHEN NEW.level_id <> OLD.level_id BEGIN
    INSERT INTO band_steps VALUES (NEW.level_id, NEW.score, 1);
    INSERT INTO band_steps VALUES (OLD.level_id, OLD.score, -1);
    INSERT INTO levels VALUES (NEW.level_id, 1) ON CONFLICT DO UPDATE SET players = players + 1;
    UPDATE levels SET players = players - 1 WHERE level_id = OLD.level_id;
END;

CREATE TRIGGER band_open AFTER UPDATE OF players ON levels
WHEN NEW.players > 4096 AND NOT EXISTS (SELECT 1 FROM bands WHERE level_id = NEW.level_id)
BEGIN
    INSERT INTO bands (level_id, lowest_score, width, players)
    SELECT NEW.level_id, 0, 2147483648, count(*) FROM scores WHERE level_id = NEW.level_id;
END;

-- One step splits once: players who crowd one end of a wide band take up to 31 steps to separate.
CREATE TRIGGER band_split AFTER UPDATE OF players ON bands WHEN NEW.players > 4096 AND NEW.width > 1 BEGIN
    INSERT INTO bands (level_id, lowest_score, width, players)
    SELECT NEW.level_id, half, NEW.width / 2,
           (SELECT count(*)
              FROM scores
             WHERE level_id = NEW.level_id AND score >= half AND score < half + NEW.width / 2)
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
                       AND lowest_score = (NEW.lowest_score | NEW.width) - (NEW.lowest_score & NEW.width)
                       AND width = NEW.width) <= 2048
BEGIN
    UPDATE bands
       SET width = 2 * width,
           players = players + (SELECT players
                                  FROM bands
                                 WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score | NEW.width)
     WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score & ~NEW.width;

    DELETE FROM bands WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score | NEW.width;
END;
