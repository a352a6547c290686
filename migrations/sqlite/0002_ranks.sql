-- Ranks without counting every better score. The players of a level lie in blocks of neighbouring scores, the blocks
-- in groups; each row says how many players have a score from `lowest_score` up to the next row of its level. The rank
-- of a score is one, plus the groups above it, plus the blocks above it in its group, plus the players above it in its
-- block. The lowest row of a level begins at 0, and a group begins where a block does.
--
-- Triggers keep the rows, so that they are right whoever writes to `scores`. A block of more than 1,024 players splits
-- where they halve, a group of more than 131,072 between two blocks. One score never splits: where it alone fills a
-- block, nobody in the block stands above it. A row that shrinks joins the one below once both are half of one.
CREATE TABLE rank_blocks (
    level_id     INTEGER NOT NULL,
    lowest_score INTEGER NOT NULL,
    players      INTEGER NOT NULL,
    PRIMARY KEY (level_id, lowest_score)
) STRICT, WITHOUT ROWID;

CREATE TABLE rank_groups (
    level_id     INTEGER NOT NULL,
    lowest_score INTEGER NOT NULL,
    players      INTEGER NOT NULL,
    PRIMARY KEY (level_id, lowest_score)
) STRICT, WITHOUT ROWID;

-- The rows as they would be made anew: half full, cut from the top, a score that fills many at the bottom of one.
CREATE VIEW rank_blocks_anew (level_id, lowest_score, players) AS
SELECT level_id,
       CASE WHEN lead(min(score)) OVER (PARTITION BY level_id ORDER BY higher / 512) IS NULL THEN 0 ELSE min(score) END,
       sum(equal)
  FROM (SELECT level_id, score, count(*) AS equal,
               sum(count(*)) OVER (PARTITION BY level_id ORDER BY score DESC ROWS UNBOUNDED PRECEDING)
                 - count(*) AS higher
          FROM scores
         GROUP BY level_id, score)
 GROUP BY level_id, higher / 512;

CREATE VIEW rank_groups_anew (level_id, lowest_score, players) AS
SELECT level_id, min(lowest_score), sum(players)
  FROM (SELECT level_id, lowest_score, players,
               sum(players) OVER (PARTITION BY level_id ORDER BY lowest_score DESC ROWS UNBOUNDED PRECEDING)
                 - players AS higher
          FROM rank_blocks)
 GROUP BY level_id, higher / 65536;

INSERT INTO rank_blocks (level_id, lowest_score, players)
SELECT level_id, lowest_score, players FROM rank_blocks_anew;

INSERT INTO rank_groups (level_id, lowest_score, players)
SELECT level_id, lowest_score, players FROM rank_groups_anew;

CREATE TRIGGER rank_enter AFTER INSERT ON scores BEGIN
    INSERT INTO rank_blocks (level_id, lowest_score, players)
    VALUES (NEW.level_id,
            coalesce((SELECT max(lowest_score)
                        FROM rank_blocks
                       WHERE level_id = NEW.level_id AND lowest_score <= NEW.score), 0),
            1)
    ON CONFLICT DO UPDATE SET players = players + 1;

    INSERT INTO rank_groups (level_id, lowest_score, players)
    VALUES (NEW.level_id,
            coalesce((SELECT max(lowest_score)
                        FROM rank_groups
                       WHERE level_id = NEW.level_id AND lowest_score <= NEW.score), 0),
            1)
    ON CONFLICT DO UPDATE SET players = players + 1;
END;

CREATE TRIGGER rank_leave AFTER DELETE ON scores BEGIN
    UPDATE rank_blocks
       SET players = players - 1
     WHERE level_id = OLD.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM rank_blocks
                            WHERE level_id = OLD.level_id AND lowest_score <= OLD.score);

    UPDATE rank_groups
       SET players = players - 1
     WHERE level_id = OLD.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM rank_groups
                            WHERE level_id = OLD.level_id AND lowest_score <= OLD.score);
END;

-- Most posts stay within a block and change nothing here.
CREATE TRIGGER rank_move AFTER UPDATE OF level_id, score ON scores
WHEN NEW.level_id <> OLD.level_id
  OR EXISTS (SELECT 1
               FROM rank_blocks
              WHERE level_id = NEW.level_id
                AND lowest_score > min(OLD.score, NEW.score)
                AND lowest_score <= max(OLD.score, NEW.score))
BEGIN
    UPDATE rank_blocks
       SET players = players - 1
     WHERE level_id = OLD.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM rank_blocks
                            WHERE level_id = OLD.level_id AND lowest_score <= OLD.score);

    UPDATE rank_groups
       SET players = players - 1
     WHERE level_id = OLD.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM rank_groups
                            WHERE level_id = OLD.level_id AND lowest_score <= OLD.score);

    INSERT INTO rank_blocks (level_id, lowest_score, players)
    VALUES (NEW.level_id,
            coalesce((SELECT max(lowest_score)
                        FROM rank_blocks
                       WHERE level_id = NEW.level_id AND lowest_score <= NEW.score), 0),
            1)
    ON CONFLICT DO UPDATE SET players = players + 1;

    INSERT INTO rank_groups (level_id, lowest_score, players)
    VALUES (NEW.level_id,
            coalesce((SELECT max(lowest_score)
                        FROM rank_groups
                       WHERE level_id = NEW.level_id AND lowest_score <= NEW.score), 0),
            1)
    ON CONFLICT DO UPDATE SET players = players + 1;
END;

CREATE TRIGGER rank_blocks_split AFTER UPDATE OF players ON rank_blocks
WHEN NEW.players > 1024
 AND (SELECT min(score) FROM scores WHERE level_id = NEW.level_id AND score >= NEW.lowest_score)
   < (SELECT max(score)
        FROM scores
       WHERE level_id = NEW.level_id
         AND score < coalesce((SELECT min(lowest_score)
                                 FROM rank_blocks
                                WHERE level_id = NEW.level_id AND lowest_score > NEW.lowest_score), 2147483648))
BEGIN
    INSERT INTO rank_blocks (level_id, lowest_score, players)
    SELECT NEW.level_id, min(score), count(*)
      FROM scores
     WHERE level_id = NEW.level_id
       AND score > (SELECT min(score) FROM scores WHERE level_id = NEW.level_id AND score >= NEW.lowest_score)
       AND score >= (SELECT score
                       FROM scores
                      WHERE level_id = NEW.level_id AND score >= NEW.lowest_score
                      ORDER BY score
                      LIMIT 1 OFFSET NEW.players / 2)
       AND score < coalesce((SELECT min(lowest_score)
                               FROM rank_blocks
                              WHERE level_id = NEW.level_id AND lowest_score > NEW.lowest_score), 2147483648)
    HAVING count(*) > 0;  -- always, but for counts that someone has changed: they must not refuse a score

    UPDATE rank_blocks
       SET players = players - coalesce((SELECT players
                                           FROM rank_blocks
                                          WHERE level_id = NEW.level_id AND lowest_score > NEW.lowest_score
                                          ORDER BY lowest_score
                                          LIMIT 1), 0)
     WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score;
END;

CREATE TRIGGER rank_groups_split AFTER UPDATE OF players ON rank_groups
WHEN NEW.players > 131072
 AND NEW.lowest_score
   < (SELECT max(lowest_score)
        FROM rank_blocks
       WHERE level_id = NEW.level_id
         AND lowest_score < coalesce((SELECT min(lowest_score)
                                        FROM rank_groups
                                       WHERE level_id = NEW.level_id AND lowest_score > NEW.lowest_score), 2147483648))
BEGIN
    INSERT INTO rank_groups (level_id, lowest_score, players)
    SELECT NEW.level_id, lowest_score, higher
      FROM (SELECT lowest_score,
                   sum(players) OVER (ORDER BY lowest_score DESC ROWS UNBOUNDED PRECEDING) AS higher
              FROM rank_blocks
             WHERE level_id = NEW.level_id
               AND lowest_score > NEW.lowest_score
               AND lowest_score < coalesce((SELECT min(lowest_score)
                                              FROM rank_groups
                                             WHERE level_id = NEW.level_id
                                               AND lowest_score > NEW.lowest_score), 2147483648))
     ORDER BY abs(higher - NEW.players / 2)
     LIMIT 1;

    UPDATE rank_groups
       SET players = players - coalesce((SELECT players
                                           FROM rank_groups
                                          WHERE level_id = NEW.level_id AND lowest_score > NEW.lowest_score
                                          ORDER BY lowest_score
                                          LIMIT 1), 0)
     WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score;
END;

CREATE TRIGGER rank_blocks_join AFTER UPDATE OF players ON rank_blocks
WHEN NEW.players < OLD.players
 AND NEW.players + (SELECT players
                      FROM rank_blocks
                     WHERE level_id = NEW.level_id AND lowest_score < NEW.lowest_score
                     ORDER BY lowest_score DESC
                     LIMIT 1) <= 512
 AND NOT EXISTS (SELECT 1 FROM rank_groups WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score)
BEGIN
    UPDATE rank_blocks
       SET players = players + NEW.players
     WHERE level_id = NEW.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM rank_blocks
                            WHERE level_id = NEW.level_id AND lowest_score < NEW.lowest_score);

    DELETE FROM rank_blocks WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score;
END;

CREATE TRIGGER rank_groups_join AFTER UPDATE OF players ON rank_groups
WHEN NEW.players < OLD.players
 AND NEW.players + (SELECT players
                      FROM rank_groups
                     WHERE level_id = NEW.level_id AND lowest_score < NEW.lowest_score
                     ORDER BY lowest_score DESC
                     LIMIT 1) <= 65536
BEGIN
    UPDATE rank_groups
       SET players = players + NEW.players
     WHERE level_id = NEW.level_id
       AND lowest_score = (SELECT max(lowest_score)
                             FROM rank_groups
                            WHERE level_id = NEW.level_id AND lowest_score < NEW.lowest_score);

    DELETE FROM rank_groups WHERE level_id = NEW.level_id AND lowest_score = NEW.lowest_score;
END;

-- All scores of one user.
CREATE INDEX scores_by_user ON scores (user_id, level_id);

-- Signs the cursors of pages, so that no other database's are taken.
CREATE TABLE cursor_key (
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

INSERT INTO cursor_key (key) VALUES (randomblob(32));
