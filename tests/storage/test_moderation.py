from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc import config
from scoresvc.actions import (
    ActionRecord,
    AddToken,
    AnyAction,
    ApproveSubmission,
    BanUser,
    ClearLevel,
    EndBan,
    EndToken,
    EraseUser,
    RemoveScore,
    RemoveSubmission,
    RestoreSubmission,
    SetLevel,
    UndoAction,
)
from scoresvc.config import Config
from scoresvc.errors import (
    Banned,
    HasScores,
    NoScore,
    NoSuchAction,
    NoSuchSubmission,
    NoSuchToken,
    NotUndoable,
    Superseded,
    TokenExists,
)
from scoresvc.periods import ALL_TIME, make_period
from scoresvc.storage import COUNTERS, Store, find_faults, open_store
from scoresvc.storage.keys import hash_key
from tests.conftest import Clock, Query, high_scores

DAY = 86400.0  # seconds
WITHOUT_HISTORY = config.HistoryOptions(keep=False)


def act(store: Store, action: AnyAction) -> ActionRecord | None:
    return store.admin.perform("operator", action).result()


def done(store: Store, action: AnyAction) -> ActionRecord:
    record = act(store, action)
    assert record is not None
    return record


def post(store: Store, level: int, user: int, *scores: int) -> None:
    for score in scores:
        store.scores.post(level, user, score).result()


def submission_ids(store: Store, level: int, user: int) -> list[int]:
    """Oldest first."""
    page = store.admin.submissions(level, user, None, 1000, None)
    return [submission.id for submission in reversed(page.submissions)]


def board(store: Store, level: int, number: int) -> dict[int, int]:
    page = store.boards.page(level, make_period(number, "UTC", 0), 1000, None)
    return {entry.user_id: entry.score for entry in page.entries}


@contextmanager
def opened(settings: Config, clock: Clock) -> Iterator[Store]:
    with closing(open_store(settings, clock, COUNTERS)) as store:
        yield store


# Submissions


def test_what_a_removed_score_had_replaced_stands_again_with_its_own_time(store: Store, clock: Clock) -> None:
    post(store, 1, 7, 100)
    reached_at = store.boards.page(1, ALL_TIME, 1, None).entries[0].reached_at
    clock.now += 60
    post(store, 1, 8, 100)
    post(store, 1, 7, 999, 50)

    record = done(store, RemoveScore(1, 7, 0))

    entries = store.boards.page(1, ALL_TIME, 15, None).entries
    assert [(entry.user_id, entry.score) for entry in entries] == [(7, 100), (8, 100)]
    assert entries[0].reached_at == reached_at
    assert (record.kind, record.actor, record.level_id, record.user_id) == ("remove_score", "operator", 1, 7)
    assert record.submission_id == submission_ids(store, 1, 7)[1]


def test_an_undone_action_can_be_done_again_by_undoing_the_undo(store: Store) -> None:
    post(store, 1, 7, 100, 999)
    removal = done(store, RemoveScore(1, 7, 0))

    undo = done(store, UndoAction(removal.id))
    assert (high_scores(store, 1), undo.undoes) == ("7=999", removal.id)
    done(store, UndoAction(undo.id))

    assert high_scores(store, 1) == "7=100"


def test_an_action_is_not_undone_after_a_later_one_has_changed_the_same(store: Store) -> None:
    post(store, 1, 7, 100)
    (submission,) = submission_ids(store, 1, 7)
    removal = done(store, RemoveSubmission(submission))
    done(store, RestoreSubmission(submission))

    with pytest.raises(Superseded):
        act(store, UndoAction(removal.id))


def test_an_action_that_changes_nothing_is_not_recorded(store: Store) -> None:
    post(store, 1, 7, 100)
    (submission,) = submission_ids(store, 1, 7)
    done(store, RemoveSubmission(submission))
    done(store, BanUser(7, "cheats"))

    assert act(store, RemoveSubmission(submission)) is None
    assert act(store, ApproveSubmission(submission)) is None
    assert act(store, BanUser(7, "cheats")) is None
    assert act(store, EndBan(8)) is None
    assert act(store, ClearLevel(1)) is None
    assert act(store, EraseUser(9)) is None
    assert len(store.admin.actions(10, None).actions) == 2


def test_what_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NoScore):
        act(store, RemoveScore(1, 7, 0))
    with pytest.raises(NoSuchSubmission):
        act(store, RemoveSubmission(1))
    with pytest.raises(NoSuchAction):
        act(store, UndoAction(1))
    with pytest.raises(NoSuchToken):
        act(store, EndToken("nobody"))


def test_a_refused_action_fails_alone_and_leaves_nothing(store: Store, query: Query) -> None:
    post(store, 1, 7, 100)
    actions = [SetLevel(1, {"order": "asc"}), BanUser(7), RemoveSubmission(999), SetLevel(1, {"title": "Moon"})]

    writes = [store.admin.perform("operator", action) for action in actions]

    with pytest.raises(HasScores):
        writes[0].result()
    with pytest.raises(NoSuchSubmission):
        writes[2].result()
    assert [writes[1].result() is None, writes[3].result() is None] == [False, False]
    assert query("SELECT kind FROM actions ORDER BY action_id") == [("ban",), ("set_level",)]
    assert store.levels.settings_of(1).order == "desc"


# Scores without submissions


def test_a_score_without_a_submission_gets_one_before_it_is_removed(settings: Config, clock: Clock) -> None:
    with opened(replace(settings, history=WITHOUT_HISTORY), clock) as store:
        post(store, 1, 7, 100, 999)
        assert submission_ids(store, 1, 7) == []

        removal = done(store, RemoveScore(1, 7, 0))
        assert high_scores(store, 1) == ""
        done(store, UndoAction(removal.id))

        assert high_scores(store, 1) == "7=999"
        assert len(submission_ids(store, 1, 7)) == 1


def test_a_ban_brings_back_what_no_submission_was_behind_in_all_periods(settings: Config, clock: Clock) -> None:
    with opened(replace(settings, history=WITHOUT_HISTORY), clock) as store:
        done(store, SetLevel(1, {"periods": ["day", "month"]}))
        post(store, 1, 7, 999)
        clock.now += DAY
        post(store, 1, 7, 100)
        boards = [(0, 999), (20231114, 999), (20231115, 100), (202311, 999)]

        done(store, BanUser(7))
        assert [board(store, 1, number) for number, _ in boards] == [{}, {}, {}, {}]
        done(store, EndBan(7))

        assert [board(store, 1, number) for number, _ in boards] == [{7: score} for _, score in boards]


def test_what_a_sum_has_above_its_submissions_is_adopted(settings: Config, clock: Clock) -> None:
    with opened(replace(settings, history=WITHOUT_HISTORY), clock) as store:
        done(store, SetLevel(1, {"keep": "sum", "periods": ["day"]}))
        post(store, 1, 7, 3, 4)
        clock.now += DAY
    with opened(settings, clock) as store:
        post(store, 1, 7, 5)
        (submission,) = submission_ids(store, 1, 7)

        done(store, RemoveSubmission(submission))

        assert [board(store, 1, number) for number in (0, 20231114, 20231115)] == [{7: 7}, {7: 7}, {}]


def test_the_order_of_a_level_with_scores_changes_only_by_rebuilding(settings: Config, clock: Clock) -> None:
    with opened(replace(settings, history=WITHOUT_HISTORY), clock) as store:
        post(store, 1, 8, 30)
    with opened(settings, clock) as store:
        post(store, 1, 7, 20, 40)
        with pytest.raises(HasScores):
            act(store, SetLevel(1, {"order": "asc"}))

        record = done(store, SetLevel(1, {"order": "asc"}, rebuild=True))

        assert (high_scores(store, 1), record.after["without_submission"]) == ("7=20,8=30", 1)
        done(store, UndoAction(record.id))
        assert high_scores(store, 1) == "7=40,8=30"


def test_a_kind_of_period_that_is_switched_on_later_is_filled(store: Store, clock: Clock) -> None:
    post(store, 1, 7, 5)
    clock.now += DAY
    post(store, 1, 7, 3)

    done(store, SetLevel(1, {"periods": ["day", "week"]}))

    assert [board(store, 1, number) for number in (20231114, 20231115, 2023046)] == [{7: 5}, {7: 3}, {7: 5}]


# Users


def test_a_banned_user_is_on_no_board_and_posts_nothing_until_the_ban_ends(store: Store) -> None:
    post(store, 1, 7, 100)
    post(store, 2, 7, 200)

    done(store, BanUser(7, "cheats"))

    assert [high_scores(store, 1), high_scores(store, 2)] == ["", ""]
    with pytest.raises(Banned):
        post(store, 1, 7, 300)
    with pytest.raises(Banned):
        store.sessions.log_in(7).result()
    done(store, EndBan(7))
    post(store, 1, 7, 50)
    assert [high_scores(store, 1), high_scores(store, 2)] == ["7=100", "7=200"]


def test_a_user_whose_ban_is_hidden_counts_for_nobody_else_until_it_ends(store: Store) -> None:
    post(store, 1, 7, 100)
    done(store, BanUser(7, hide=True))

    post(store, 1, 7, 300)

    assert high_scores(store, 1) == ""
    done(store, EndBan(7))
    assert high_scores(store, 1) == "7=300"


def test_a_ban_that_has_run_out_ends_with_an_action(store: Store, clock: Clock) -> None:
    post(store, 1, 7, 100)
    done(store, BanUser(7, "an hour", until=int((clock.now + 3600) * 1_000_000)))

    store.admin.maintain(200)
    assert high_scores(store, 1) == ""
    clock.now += 3600
    assert store.admin.maintain(200) == 200

    assert high_scores(store, 1) == "7=100"
    newest = store.admin.actions(1, None).actions[0]
    assert (newest.kind, newest.actor, newest.user_id) == ("unban", "scoresvc", 7)


def test_only_the_last_ban_of_a_user_is_undone(store: Store) -> None:
    first = done(store, BanUser(7, "cheats"))
    second = done(store, BanUser(7, "cheats again", hide=True))

    with pytest.raises(Superseded):
        act(store, UndoAction(first.id))
    done(store, UndoAction(second.id))

    ban = store.admin.user(7).ban
    assert ban is not None
    assert (ban.reason, ban.hide) == ("cheats", False)


def test_clearing_a_level_is_undone_for_those_who_were_not_erased_since(store: Store) -> None:
    post(store, 1, 7, 100)
    post(store, 1, 8, 200)
    clearing = done(store, ClearLevel(1))
    assert high_scores(store, 1) == ""

    done(store, EraseUser(8))
    done(store, UndoAction(clearing.id))

    assert high_scores(store, 1) == "7=100"


def test_erasing_is_not_undone_and_its_actions_neither(store: Store) -> None:
    post(store, 1, 7, 100)
    removal = done(store, RemoveScore(1, 7, 0))

    erasure = done(store, EraseUser(7))

    for action in (removal, erasure):
        with pytest.raises(NotUndoable):
            act(store, UndoAction(action.id))
    assert [(action.kind, action.user_id) for action in store.admin.actions(10, None).actions] == [
        ("erase", None),
        ("remove_score", None),
    ]


def test_an_erased_user_leaves_no_trace_in_any_file(store: Store, database_path: Path, clock: Clock) -> None:
    user = 0x41424344
    done(store, SetLevel(1, {"periods": ["day", "week", "month"]}))
    for level in (1, 2, 3):
        for other in range(100):
            post(store, level, other, other)
        post(store, level, user, 10, 30, 20)
    store.sessions.log_in(user).result()
    done(store, BanUser(user, "this is user 0x41424344"))
    done(store, EndBan(user))

    def traces() -> list[str]:
        paths = [path for path in database_path.parent.iterdir() if path.is_file()]
        return [path.name for path in paths if user.to_bytes(4, "big") in path.read_bytes()]

    assert traces()
    done(store, EraseUser(user))

    assert traces() == []
    store.close()
    assert traces() == []


# What is kept


def test_old_submissions_that_stand_nowhere_are_purged_and_no_others(settings: Config, clock: Clock) -> None:
    settings = replace(settings, history=config.HistoryOptions(days=10))
    with opened(settings, clock) as store:
        post(store, 1, 7, 1, 50, 2)
        done(store, SetLevel(2, {"keep": "sum"}))
        post(store, 2, 7, 3, 4)
        post(store, 1, 8, 9, 5)
        done(store, BanUser(8))
        done(store, SetLevel(3, {"hold": 1000}))
        post(store, 3, 7, 2000)
        clock.now += 11 * DAY
        post(store, 1, 7, 3)

        while store.admin.maintain(3) == 3:
            pass

        left = [
            each.score
            for level in (1, 2, 3)
            for each in store.admin.submissions(level, None, None, 9, None).submissions
        ]
        assert left == [3, 5, 9, 50, 4, 3, 2000]
        assert high_scores(store, 1) == "7=50"


def test_old_submissions_are_purged_also_behind_newer_ones(settings: Config, clock: Clock) -> None:
    with opened(replace(settings, history=config.HistoryOptions(keep=False)), clock) as store:
        post(store, 1, 7, 5)
    clock.now += 11 * DAY
    with opened(replace(settings, history=config.HistoryOptions(days=10)), clock) as store:
        post(store, 2, 8, 1, 2, 3, 4)
        done(store, BanUser(7))  # makes a submission of the old score
        done(store, EndBan(7))
        post(store, 1, 7, 6)

        while store.admin.maintain(3) == 3:
            pass

        assert [each.score for each in store.admin.submissions(1, 7, None, 9, None).submissions] == [6]


def test_an_action_whose_submissions_were_purged_is_gone(settings: Config, clock: Clock) -> None:
    settings = replace(settings, history=config.HistoryOptions(days=10))
    with opened(settings, clock) as store:
        post(store, 1, 7, 1)
        removal = done(store, RemoveScore(1, 7, 0))
        clock.now += 11 * DAY
        store.admin.maintain(200)

        with pytest.raises(NotUndoable):
            act(store, UndoAction(removal.id))


def test_old_periods_are_purged_and_do_not_come_back(settings: Config, clock: Clock) -> None:
    settings = replace(settings, levels=config.LevelOptions(periods=("day", "month"), keep_days=2))
    with opened(settings, clock) as store:
        for day in range(4):
            for user in range(5):
                post(store, 1, user, 10 * day + user)
            clock.now += DAY if day < 3 else 0

        while store.admin.maintain(3) == 3:
            pass

        days = (20231114, 20231115, 20231116, 20231117)
        assert [len(board(store, 1, number)) for number in days] == [0, 0, 5, 5]
        done(store, RemoveScore(1, 4, 0))
        assert [len(board(store, 1, number)) for number in days] == [0, 0, 5, 4]
        assert board(store, 1, 202311)[4] == 24
    assert list(find_faults(settings)) == []


# Tokens and reading


def test_a_token_is_known_from_its_action_on_until_it_ends(store: Store, clock: Clock) -> None:
    done(store, AddToken("ann", hash_key("secret"), ("read", "moderate"), "100-199", int(clock.now * 1_000_000) + 10))
    with pytest.raises(TokenExists):
        act(store, AddToken("ann", hash_key("other"), ("read",)))

    token = store.admin.token_of("secret")

    assert token is not None
    assert (token.name, token.rights, token.levels) == ("ann", ("read", "moderate"), "100-199")
    assert store.admin.token_of("other") is None
    clock.now += 1
    assert store.admin.token_of("secret") is None
    done(store, EndToken("ann"))
    assert (store.admin.tokens(), store.admin.has_tokens()) == ([], False)


def test_the_history_and_the_audit_log_come_in_pages_newest_first(store: Store) -> None:
    post(store, 1, 7, 1, 2, 3)
    post(store, 1, 8, 4)
    for submission in submission_ids(store, 1, 7):
        done(store, RemoveSubmission(submission))

    first = store.admin.submissions(1, None, None, 3, None)
    second = store.admin.submissions(1, None, None, 3, first.next)
    removed = store.admin.submissions(1, 7, "removed", 2, None)
    actions = store.admin.actions(2, None)

    assert [each.score for each in (*first.submissions, *second.submissions)] == [4, 3, 2, 1]
    assert second.next is None
    assert [each.score for each in removed.submissions] == [3, 2]
    assert [each.submission_id for each in store.admin.actions(2, actions.next).actions] == [1]


def test_all_about_a_user_is_told(store: Store) -> None:
    done(store, SetLevel(1, {"order": "asc", "periods": ["day"]}))
    post(store, 1, 7, 30, 20)
    store.sessions.log_in(7).result()

    user = store.admin.user(7)

    assert [(score["period"], score["score"]) for score in user.scores] == [("all", 20), ("2023-11-14", 20)]
    assert ([each.score for each in user.submissions], user.sessions, user.ban) == ([30, 20], 1, None)


# Races


@pytest.mark.parametrize("keep", ["best", "latest", "sum"])
def test_actions_and_posts_of_the_same_user_at_once_end_as_in_some_order(
    keep: str, settings: Config, clock: Clock
) -> None:
    """Whatever the order, the boards are what the submissions say; a bad order would leave them as they were."""
    with opened(settings, clock) as store:
        done(store, SetLevel(1, {"keep": keep, "periods": ["day"]}))
        errors: list[Exception] = []

        def run(number: int) -> None:
            for step in range(40):
                try:
                    race_one(store, number, step)
                except (NoScore, Superseded, NotUndoable, NoSuchAction, HasScores, Banned):
                    pass
                except Exception as error:
                    errors.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert errors == []
        act(store, EndBan(7))
        post(store, 1, 7, 5)  # one stands, also where all others were removed last
        order = max if store.levels.settings_of(1).order == "desc" else min
        standing = reversed(store.admin.submissions(1, 7, "stands", 1000, None).submissions)
        scores = [each.score for each in standing]
        expected = {"best": order(scores), "latest": scores[-1], "sum": sum(scores)}[keep]
        assert (board(store, 1, 0), board(store, 1, 20231114)) == ({7: expected}, {7: expected})
    assert list(find_faults(settings)) == []


def race_one(store: Store, number: int, step: int) -> None:
    if number < 4:
        store.scores.post(1, 7, 10 * number + step % 10).result()
    elif number == 4:
        act(store, RemoveScore(1, 7, 0))
    elif number == 5:
        act(store, UndoAction(step + 2))  # not the settings with which the race starts
    elif number == 6:
        act(store, BanUser(7, hide=True) if step % 2 else EndBan(7))
    else:
        act(store, SetLevel(1, {"order": "asc" if step % 2 else "desc"}, rebuild=True))


def test_a_post_that_waits_beside_a_change_of_order_is_ranked_by_the_new_one(store: Store) -> None:
    for round in range(20):
        order, best = ("asc", 100) if round % 2 else ("desc", 100 + round)
        ahead = [store.sessions.log_in(user) for user in range(50)]  # while these are written, both others wait
        change = store.admin.perform("operator", SetLevel(1, {"order": order}, rebuild=True))
        posted = store.scores.post(1, 7, 100 + round)

        for write in (*ahead, change, posted):
            write.result()

        assert board(store, 1, 0) == {7: best}
