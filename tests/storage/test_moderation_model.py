"""Boards, posts and actions against a model, in random steps."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scoresvc import actions, errors
from scoresvc.actions import AnyAction
from scoresvc.config import Config
from scoresvc.errors import Refusal
from scoresvc.periods import WISH_ALL, Period, make_period
from scoresvc.scores import PeriodResult, PostResult
from scoresvc.storage import COUNTERS, find_faults, open_store
from tests.conftest import Clock, NewDatabase, high_scores
from tests.storage.model import Model, Post, number_of

LEVELS = range(3)
USERS = range(5)
KINDS = ("day", "week", "month")
ZONES = ("UTC", "Pacific/Apia", "America/St_Johns", "Australia/Lord_Howe")
STEPS = 400
SEEDS = range(8)
HOUR = 3600.0  # seconds


class Run:
    """Does the same to the service and to the model, at random."""

    def __init__(self, seed: int, settings: Config, clock: Clock) -> None:
        self.random = random.Random(seed)
        self.settings = settings
        self.clock = clock
        self.store = open_store(settings, clock, COUNTERS)
        self.model = Model()
        self.accepted = 0

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.settings, self.clock, COUNTERS)

    def step(self) -> None:
        self.clock.now += self.random.choice((0, 0.5, HOUR, 30 * HOUR, 100 * HOUR, -50 * HOUR))
        level, user = self.random.choice(LEVELS), self.random.choice(USERS)
        what = self.random.random()
        if what < 0.5:
            self.post(level, user)
        elif what < 0.99:
            self.act(self.choose_action(level, user))
        else:
            self.restart()
        self.check(level, user)

    # Posts

    def post(self, level: int, user: int) -> None:
        score = self.random.choice((0, 1, 2, 3, 4, 1000, 2**31 - 2, 2**31 - 1))
        ban = self.model.bans.get(user)
        is_banned = ban is not None and not ban[1]
        before = self.boards_now(level)
        result = None
        try:
            if self.random.random() < 0.3:
                self.store.scores.post(level, user, score).result()
            else:
                result = self.store.scores.post_and_rank(level, user, score).result()
        except errors.Banned:
            assert is_banned
            return
        assert not is_banned
        self.accept(level, user, score)
        if result and not ban and self.model.posts[-1].state == "stands":
            self.check_result(result, before, level, user)

    def accept(self, level: int, user: int, score: int) -> None:
        newest = self.store.admin.submissions(level, user, None, 1, None).submissions[0]
        settings = self.model.settings(level)
        day = datetime.fromtimestamp(self.clock.now, ZoneInfo(settings.zone)).date()
        post = Post(self.accepted, newest.id, level, user, score, day, newest.posted_at)
        if settings.hold is not None:
            is_good = score >= settings.hold if settings.order == "desc" else score <= settings.hold
            post.state = "held" if is_good else "stands"
        self.model.posts.append(post)
        self.accepted += 1
        assert (newest.score, newest.state) == (score, post.state)

    def boards_now(self, level: int) -> dict[int, list[Post]]:
        settings = self.model.settings(level)
        today = datetime.fromtimestamp(self.clock.now, ZoneInfo(settings.zone)).date()
        numbers = [number_of(kind, today) for kind in ("all", *settings.periods)]
        return {number: self.model.board(level, number) for number in numbers}

    def check_result(self, result: PostResult, before: dict[int, list[Post]], level: int, user: int) -> None:
        results: list[PostResult | PeriodResult] = [result]
        if isinstance(result.periods, tuple):
            results.extend(result.periods)
        expected = [self.expected_result(number, board, level, user) for number, board in before.items()]
        assert [(each.improved, each.best, each.previous, each.rank, each.players) for each in results] == expected

    def expected_result(self, number: int, before: list[Post], level: int, user: int) -> tuple[Any, ...]:
        after = self.model.board(level, number)
        previous = next((post.score for post in before if post.user == user), None)
        best = next(post.score for post in after if post.user == user)
        sign = -1 if self.model.settings(level).order == "desc" else 1
        improved = previous is None or sign * best < sign * previous
        return improved, best, previous, rank_of(after, best), len(after)

    # Actions

    def choose_action(self, level: int, user: int) -> AnyAction:
        choice = self.random.choice
        id = choice(self.model.posts).id if self.model.posts else 1
        periods = [number_of(choice(("all", *KINDS)), choice(self.model.posts).day)] if self.model.posts else [0]
        last = max(self.model.done, default=0)
        choices: list[AnyAction] = [
            *[actions.RemoveScore(level, user, choice((0, *periods)))] * 3,
            *[actions.RemoveSubmission(id)] * 2,
            *[actions.RestoreSubmission(id)] * 2,
            *[actions.ApproveSubmission(id)] * 2,
            actions.BanUser(user, choice(("", "cheats")), None, choice((True, False))),
            *[actions.EndBan(user)] * 2,
            actions.SetLevel(level, {choice(("order", "keep")): None}, choice((True, False))),
            actions.SetLevel(level, {"order": choice(("asc", "desc"))}, choice((True, False))),
            actions.SetLevel(level, {"keep": choice(("best", "latest", "sum"))}, choice((True, False))),
            actions.SetLevel(level, {"periods": choice(([], ["day"], ["week", "month"], list(KINDS)))}),
            actions.SetLevel(level, {"zone": choice(ZONES), "hold": choice((None, None, 1000))}),
            actions.ResetLevel(level, choice((True, False))),
            *[actions.UndoAction(self.random.randint(max(1, last - 6), last + 1))] * 5,
        ]
        if self.random.random() < 0.05:
            choices = [actions.ClearLevel(level), actions.EraseUser(user)]
        return choice(choices)

    def act(self, action: AnyAction) -> None:
        refusal = None
        record = None
        try:
            record = self.store.admin.perform("operator", action).result()
        except Refusal as error:
            refusal = type(error)
        assert self.model.perform(action, record.id if record else None) is refusal, action

    # What can be read

    def check(self, level: int, user: int) -> None:
        days = [post.day for post in self.model.posts if post.level == level]
        numbers = {0} | {
            number_of(kind, self.random.choice(days)) for kind in self.model.settings(level).periods if days
        }
        for number in numbers:
            board = self.model.board(level, number)
            period = make_period(number, self.model.settings(level).zone, int(self.clock.now * 1_000_000))
            self.check_pages(level, period, board)
            self.check_user(level, period, board, user)
        entries = ",".join(f"{post.user}={post.score}" for post in self.model.board(level, 0)[:15])
        assert high_scores(self.store, level) == entries

    def check_pages(self, level: int, period: Period, board: list[Post]) -> None:
        expected = [(rank_of(board, post.score), post.user, post.score, post.reached_at) for post in board]
        found: list[tuple[int, int, int, int]] = []
        cursor, limit = None, self.random.choice((2, 1000))
        while len(found) <= len(board):
            page = self.store.boards.page(level, period, limit, cursor)
            found += [(each.rank, each.user_id, each.score, each.reached_at) for each in page.entries]
            assert page.players == len(board)
            cursor = page.next
            if cursor is None:
                break
        assert found == expected

    def check_user(self, level: int, period: Period, board: list[Post], user: int) -> None:
        standing = self.store.boards.standing(level, period, user)
        around = self.store.boards.around(level, period, user, 3)
        place = next((place for place, post in enumerate(board) if post.user == user), None)
        if place is None:
            assert standing is None
            assert around is None
            return
        assert standing is not None
        assert around is not None
        score = board[place].score
        first = min(max(place - 1, 0), max(len(board) - 3, 0))
        assert (standing.score, standing.rank, standing.players) == (score, rank_of(board, score), len(board))
        assert [entry.user_id for entry in around.entries] == [post.user for post in board[first : first + 3]]
        if period.number == 0:
            assert (level, score) in self.store.boards.bests(user, WISH_ALL)


def rank_of(board: list[Post], score: int) -> int:
    """One plus those above: where the score stands first."""
    return 1 + next(place for place, post in enumerate(board) if post.score == score)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_every_board_is_what_its_submissions_say(
    seed: int, new_database: NewDatabase, clock: Clock
) -> None:
    with new_database() as database:
        settings = Config(database=replace(database, durability="process"))
        run = Run(seed, settings, clock)
        try:
            for _ in range(STEPS):
                run.step()
        finally:
            run.store.close()

        assert list(find_faults(settings)) == []
