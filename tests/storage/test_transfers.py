"""What is exported comes back as it was, from any history, into either engine."""

from __future__ import annotations

import io
from contextlib import closing
from typing import Any

import pytest

from scoresvc.config import Config
from scoresvc.rows import ROW_KINDS, Outcome, Row, ScoreRow, Selection
from scoresvc.storage import COUNTERS, find_faults, open_export, open_import, open_store
from scoresvc.storage.store import Store
from scoresvc.transfer.reading import ReadingOptions, read_rows
from scoresvc.transfer.writing import FORMATS
from tests.conftest import Clock, NewDatabase, connect_beside, high_scores
from tests.storage.test_moderation_model import Run

STEPS = 250
SEEDS = range(6)
TABLES = {
    "scores": "level_id, period, user_id, score, reached_at",
    "submissions": """
        submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before, follows
    """,
    "level_settings": "level_id, settings",
    "bans": "user_id, until, hide, reason",
    "users": "user_id, secret_hash, name, folded_name, external",
    "actions": "action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after, undoes",
}


def write_all(settings: Config, form: str = "ndjson") -> dict[str, bytes]:
    """Exports each kind of rows."""
    texts = {}
    with open_export(settings) as export:
        for what in ROW_KINDS:
            text = io.StringIO(newline="")
            FORMATS[form](text, what, export.rows(what, Selection()))
            texts[what] = text.getvalue().encode()
    return texts


def read_all(settings: Config, texts: dict[str, bytes], mode: str = "best", chunk: int = 7) -> list[Outcome]:
    """Imports each kind of rows in small chunks."""
    outcomes = []
    with open_import(settings, False) as store:
        for what, text in texts.items():
            lines = list(read_rows(io.BytesIO(text), ReadingOptions()))
            assert {(line.what, line.reason) for line in lines} <= {(what, "")}
            rows = [line.row for line in lines]
            for start in range(0, len(rows), chunk):
                outcomes += store(what, rows[start : start + chunk], mode)
    return outcomes


def contents(settings: Config) -> dict[str, list[Any]]:
    with closing(connect_beside(settings)) as connection:
        return {
            table: sorted(map(repr, connection.execute(f"SELECT {columns} FROM {table}")))
            for table, columns in TABLES.items()
        }


def store_rows(settings: Config, what: str, *rows: Row, mode: str = "best") -> list[Outcome]:
    with open_import(settings, False) as store:
        return store(what, list(rows), mode)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", FORMATS)
def test_an_import_into_an_empty_database_gives_equal_tables(new_database: NewDatabase, seed: int, form: str) -> None:
    with new_database() as one, new_database() as two:
        old, new = Config(database=one), Config(database=two)
        run = Run(seed, old, Clock())
        for _ in range(STEPS):
            run.step()
        run.store.close()
        texts = write_all(old, form)

        outcomes = read_all(new, texts)

        assert {outcome.reason for outcome in outcomes} == {""}
        assert contents(new) == contents(old)
        assert list(find_faults(new)) == []
        assert not any(outcome.has_changed for outcome in read_all(new, texts))
        assert write_all(new, form) == texts


def test_a_better_score_stays_and_ranks_are_right_at_once(settings: Config, store: Store) -> None:
    for user, score in ((1, 10), (2, 20), (3, 30)):
        store.scores.post(2, user, score).result()

    outcomes = store_rows(
        settings, "scores", ScoreRow(2, 0, 1, 25, 1_000), ScoreRow(2, 0, 2, 15, 1_000), ScoreRow(2, 0, 4, 30, 1_000)
    )

    assert [outcome.has_changed for outcome in outcomes] == [True, False, True]
    store.close()
    with closing(open_store(settings, None, COUNTERS)) as again:
        assert high_scores(again, 2) == "4=30,3=30,1=25,2=20"
    assert list(find_faults(settings)) == []
