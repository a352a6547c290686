"""Rows as text, and back: whatever is in them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresvc.errors import StartError
from scoresvc.limits import INT64_MAX, UINT31_MAX
from scoresvc.names import read_name
from scoresvc.rows import ActionRow, Row, ScoreRow, SubmissionRow, UserRow
from scoresvc.times import LAST_SECOND, format_exact_time, read_time
from scoresvc.transfer.reading import ReadingOptions, ReadLine, read_rows
from scoresvc.transfer.writing import FORMATS

# As their documents show them: a table of Nakama as psql copies it (heroiclabs.com/docs/nakama, leaderboards); with
# an object a line, entries of Talo (docs.trytalo.com, leaderboard API) and of PlayFab
# (learn.microsoft.com/rest/api/playfab, PlayerLeaderboardEntry).
RIVALS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "rivals").iterdir())}
RIVAL_COLUMNS = {
    "nakama": {"user": "owner_id", "score": "score", "name": "username", "reached_at": "update_time"},
    "talo": {"user": "playerAlias.player.id", "score": "score", "name": "playerAlias.identifier",
             "reached_at": "updatedAt"},
    "playfab": {"user": "PlayFabId", "score": "StatValue", "name": "DisplayName"},
}  # fmt: skip


def read(text: str | bytes, **options: object) -> list[ReadLine]:
    encoded = text if isinstance(text, bytes) else text.encode()
    return list(read_rows(io.BytesIO(encoded), ReadingOptions(**options)))  # type: ignore[arg-type]


def write(form: str, what: str, *rows: Row) -> str:
    text = io.StringIO(newline="")
    FORMATS[form](text, what, rows)
    return text.getvalue()


def is_name(text: str) -> bool:
    try:
        return read_name(text, 24, 96) == text
    except ValueError:
        return False


NUMBERS = st.integers(0, UINT31_MAX)
ROW_NUMBERS = st.integers(1, INT64_MAX)
TIMES = st.integers(0, LAST_SECOND * 1_000_000)
TEXTS = st.text(min_size=1, max_size=60).filter(lambda text: "\0" not in text)
NAMES = st.one_of(st.none(), st.sampled_from(["=1+1", "+x", "-x", "@x", "'", "'=x", 'A, "b"', "Ж", "日本"]),
                  st.text(min_size=1, max_size=8).filter(is_name))  # fmt: skip
SCORES = st.builds(ScoreRow, NUMBERS, st.sampled_from([0, 20261125, 2026048, 202611]), NUMBERS, NUMBERS, TIMES, NAMES,
                   st.none() | TEXTS, st.none())  # fmt: skip
SUBMISSIONS = st.builds(SubmissionRow, ROW_NUMBERS, NUMBERS, NUMBERS, NUMBERS, TIMES, NUMBERS, st.integers(0, 2),
                        st.none() | TEXTS, st.none() | ROW_NUMBERS, st.none() | st.integers(0, 2),
                        st.none() | st.integers(0, INT64_MAX))  # fmt: skip
USERS = st.builds(UserRow, NUMBERS, NAMES, st.none() | TEXTS, st.none() | st.binary(min_size=32, max_size=32),
                  st.sampled_from([None, "yes", "hidden"]), st.none() | TIMES, st.none() | TEXTS)  # fmt: skip
OBJECTS = st.dictionaries(st.text(), st.none() | st.integers(-(2**60), 2**60) | st.text(), max_size=3)
ACTIONS = st.builds(ActionRow, ROW_NUMBERS, TIMES, TEXTS, TEXTS, st.none() | NUMBERS, st.none() | NUMBERS,
                    st.none() | ROW_NUMBERS, OBJECTS, OBJECTS, st.none() | ROW_NUMBERS)  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@given(rows=st.data())
def test_rows_come_back_as_they_were(form: str, rows: st.DataObject) -> None:
    for what, strategy in {"scores": SCORES, "submissions": SUBMISSIONS, "users": USERS, "actions": ACTIONS}.items():
        written = rows.draw(st.lists(strategy, min_size=1, max_size=5))

        lines = read(write(form, what, *written))

        assert [(line.what, line.reason, line.row) for line in lines] == [(what, "", row) for row in written]


@given(data=st.binary(max_size=200))
def test_no_bytes_are_more_than_a_refusal(data: bytes) -> None:
    try:
        lines = read(data)
    except StartError:
        return
    assert all((line.row is None) == bool(line.reason) for line in lines)


@given(SCORES)
def test_a_spreadsheet_finds_no_formula(row: ScoreRow) -> None:
    _, cells = csv.reader(io.StringIO(write("csv", "scores", row), newline=""))

    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


def test_csv_is_that_of_rfc_4180() -> None:
    row = ScoreRow(2, 0, 4711, 1500, 1_000_001, "Ada", 'a "b",\nc')

    assert write("csv", "scores", row) == (
        "level,period,user,score,reached_at,name,meta\r\n"
        '2,all,4711,1500,1970-01-01T00:00:01.000001Z,Ada,"a ""b"",\nc"\r\n'
    )


def test_json_has_an_object_a_line() -> None:
    assert json.loads(write("ndjson", "scores", ScoreRow(2, 20261125, 4711, 1500, 0))) == {
        "what": "scores",
        "level": 2,
        "period": "2026-11-25",
        "user": 4711,
        "score": 1500,
        "reached_at": "1970-01-01T00:00:00.000000Z",
        "name": None,
        "meta": None,
    }


@given(TIMES)
def test_a_time_is_exact(microseconds: int) -> None:
    assert read_time(format_exact_time(microseconds)) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T03:04:05.678Z", "2026-11-21 03:04:05.678+00", "2026-11-21T04:04:05.678+01:00",
        "2026-11-20T22:04:05,678-0500", "2026-11-21 03:04:05.678 UTC", "2026-11-21t03:04:05.678z",
        "2026-11-21T03:04:05.678000999Z", "1795230245678", "1795230245678000",
    ],
)  # fmt: skip
def test_times_of_other_programs_are_understood(text: str) -> None:
    assert read_time(text) == 1_795_230_245_678_000


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-21", "٣", "1" * 18, "1969-12-31T23:59:59Z"]
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_time(text)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("x,1,1", "level must be a whole number from 0 to 2147483647"),
        ("2,-1,1", "user must be a whole number from 0 to 2147483647"),
        ("2,1,2147483648", "score must be a whole number from 0 to 2147483647"),
        ("2,1,1.5", "score must be a whole number from 0 to 2147483647"),
        ("2,1,", "score is missing"),
        ("2,1", "it has 2 cells, not 3"),
        ("2,1,1,1", "it has 4 cells, not 3"),
        ("2,\xff,1", "user must be"),
    ],
)
def test_a_bad_line_is_named_and_the_next_one_is_read(cells: str, reason: str) -> None:
    bad, good = read(f"level,user,score\n{cells}\n2,1,7\n")

    assert (bad.number, bad.row) == (2, None)
    assert bad.reason.startswith(reason)
    assert good == ReadLine(3, "scores", ScoreRow(2, 0, 1, 7, None))


def test_what_is_not_utf_8_is_refused() -> None:
    bad, good = read(b"level,user,score,name\n2,1,7,\xff\n2,1,7,Ada\n")

    assert bad.reason == "it is not UTF-8"
    assert good.row is not None


@pytest.mark.parametrize("text", ["\ufefflevel;user;score\n2;1;7\n", "level\tuser\tscore\r\n2\t1\t7.0\r\n\r\n"])
def test_csv_of_other_programs_is_understood(text: str) -> None:
    assert [line.row for line in read(text)] == [ScoreRow(2, 0, 1, 7, None)]


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("level,user,scroe", "scroe"),
        ("user,score", "--level gives all lines a level"),
        ("level,user,score,score", "a column is there twice"),
    ],
)
def test_columns_that_are_not_known_stop_the_import(header: str, complaint: str) -> None:
    with pytest.raises(StartError, match=complaint):
        read(f"{header}\n1,2,3,4\n")


def test_columns_that_have_our_names_need_not_be_told() -> None:
    (line,) = read("level,player,value,rank,state\n2,7,1500,1,x\n", columns={"user": "player", "score": "value"})

    assert line.row == ScoreRow(2, 0, 7, 1500, None)


@pytest.mark.parametrize("rival", RIVALS)
def test_exports_of_other_services_are_read(rival: str) -> None:
    columns = RIVAL_COLUMNS[rival]

    lines = read(RIVALS[rival], columns=columns, level_id=2, has_external_users=True)

    rows = [line.row for line in lines if isinstance(line.row, ScoreRow)]
    assert [(row.level_id, row.score, row.name) for row in rows] == [(2, 1500, "ada"), (2, 1220, "grace")]
    assert all(row.external for row in rows)
    if "reached_at" in columns:
        assert rows[0].reached_at == 1_795_230_245_678_000
