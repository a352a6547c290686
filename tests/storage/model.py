"""What boards are and what actions do, of the list of submissions alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from scoresvc import actions, errors
from scoresvc.actions import AnyAction
from scoresvc.errors import Refusal
from scoresvc.levels import LevelSettings
from scoresvc.limits import UINT31_MAX

NUMBERS = {"all": "0", "day": "%Y%m%d", "week": "%G0%V", "month": "%Y%m"}

Refused = type[Refusal]


@dataclass
class Post:
    """A submission; `place` in the order in which they were accepted."""

    place: int
    id: int
    level: int
    user: int
    score: int
    day: date
    reached_at: int
    state: str = "stands"
    action: int | None = None
    before: str = ""


@dataclass
class Done:
    """What an action was about, how many submissions it changed, and what was before."""

    part: str  # "posts", "ban", "settings" or "gone"
    level: int | None = None
    user: int | None = None
    before: Any = None
    count: int = 0


def number_of(kind: str, day: date) -> int:
    return int(day.strftime(NUMBERS[kind]))


def kind_of(number: int) -> str:
    return {1: "all", 6: "month", 7: "week", 8: "day"}[len(str(number))]


@dataclass
class Model:
    posts: list[Post] = field(default_factory=list)
    bans: dict[int, tuple[str, bool]] = field(default_factory=dict)
    own: dict[int, dict[str, Any]] = field(default_factory=dict)  # settings
    done: dict[int, Done] = field(default_factory=dict)

    def settings(self, level: int) -> LevelSettings:
        return LevelSettings(**self.own.get(level, {}))

    def counted(self, level: int, number: int) -> list[Post]:
        posts = [post for post in self.posts if post.level == level and post.state == "stands"]
        return [post for post in posts if number_of(kind_of(number), post.day) == number]

    def board(self, level: int, number: int) -> list[Post]:
        """Returns what stands on a board, best first."""
        settings = self.settings(level)
        sign = -1 if settings.order == "desc" else 1
        stands: dict[int, Post] = {}
        for post in self.counted(level, number):
            old = stands.get(post.user)
            if old and settings.keep == "sum":
                post = replace(post, score=min(old.score + post.score, UINT31_MAX))
            if not old or settings.keep != "best" or sign * post.score < sign * old.score:
                stands[post.user] = post
        shown = [post for user, post in stands.items() if user not in self.bans]
        return sorted(shown, key=lambda post: (sign * post.score, post.reached_at, post.user))

    def perform(self, action: AnyAction, new: int | None) -> Refused | None:
        """Does the action whose number is `new`, None where the service did not; returns the refusal."""
        expected = self.do(action, new)
        if isinstance(expected, type):
            return expected
        assert (new is None) == (expected is None), f"{action}: {new}, {expected}"
        if new is not None and expected:
            expected.count = len([post for post in self.posts if post.action == new])
            self.done[new] = expected
        return None

    def do(self, action: AnyAction, new: int | None) -> Done | Refused | None:
        match action:
            case actions.RemoveSubmission(id):
                return self.set_state(id, ("stands", "held"), "removed", new)
            case actions.RestoreSubmission(id):
                return self.set_state(id, ("removed",), "stands", new)
            case actions.ApproveSubmission(id):
                return self.set_state(id, ("held",), "stands", new)
            case actions.RemoveScore():
                return self.remove_score(action, new)
            case actions.ClearLevel(level):
                return self.change(
                    [post for post in self.posts if post.level == level], "removed", new, Done("posts", level)
                )
            case actions.BanUser(user, reason, _, hide):
                return self.put_ban(user, (reason, hide))
            case actions.EndBan(user):
                return self.put_ban(user, None)
            case actions.EraseUser(user):
                return self.erase(user)
            case actions.SetLevel(level, settings, rebuild):
                return self.put_settings(level, self.own.get(level, {}) | settings, rebuild)
            case actions.ResetLevel(level, rebuild):
                return self.put_settings(level, {}, rebuild)
            case actions.UndoAction(id):
                return self.undo(id, new)
        raise AssertionError(action)

    def change(self, posts: list[Post], state: str, new: int | None, done: Done) -> Done | None:
        """Sets the state of those that are not in it; without one, the state before."""
        changed = [post for post in posts if post.state != state]
        for post in changed:
            post.before, post.state, post.action = post.state, state or post.before, new
        return done if changed else None

    def set_state(self, id: int, states: tuple[str, ...], state: str, new: int | None) -> Done | Refused | None:
        for post in self.posts:
            if post.id == id:
                done = Done("posts", post.level, post.user)
                return self.change([post] if post.state in states else [], state, new, done)
        return errors.NoSuchSubmission

    def remove_score(self, action: actions.RemoveScore, new: int | None) -> Done | Refused | None:
        level, user, number = action.level_id, action.user_id, action.period
        settings = self.settings(level)
        standing = [post for post in self.board(level, number) if post.user == user]
        if not standing or kind_of(number) not in ("all", *settings.periods):
            return errors.NoScore
        posts = [post for post in self.counted(level, number) if post.user == user]
        if settings.keep != "sum":
            posts = [post for post in posts if post.id == standing[0].id]
        return self.change(posts, "removed", new, Done("posts", level, user))

    def put_ban(self, user: int, ban: tuple[str, bool] | None) -> Done | None:
        old = self.bans.pop(user, None)
        if ban:
            self.bans[user] = ban
        return Done("ban", None, user, old) if old != ban else None

    def put_settings(self, level: int, settings: dict[str, Any], rebuild: bool) -> Done | Refused | None:
        own = {name: value for name, value in settings.items() if value is not None}
        old, old_own = self.settings(level), self.own.get(level, {})
        new = LevelSettings(**own)
        if (new.order, new.keep) != (old.order, old.keep) and self.counted(level, 0) and not rebuild:
            return errors.HasScores
        self.own[level] = own
        return Done("settings", level, None, old_own) if own != old_own else None

    def erase(self, user: int) -> Done | None:
        about = [done for done in self.done.values() if done.user == user]
        erased = [post for post in self.posts if post.user == user]
        self.posts = [post for post in self.posts if post.user != user]
        for post in erased:
            if post.action is not None:
                self.done[post.action].count -= 1
        for done in about:
            done.part = "gone"
        return Done("gone") if self.bans.pop(user, None) or about or erased else None

    def undo(self, id: int, new: int | None) -> Done | Refused | None:
        done = self.done.get(id)
        if done is None:
            return errors.NoSuchAction
        if done.part == "gone" or (done.part == "posts" and not done.count):
            return errors.NotUndoable
        if done.part == "posts":
            posts = [post for post in self.posts if post.action == id]
            is_last = len(posts) == done.count
            return self.change(posts, "", new, replace(done)) if is_last else errors.Superseded
        subject = (done.part, done.level, done.user)
        if id != max(at for at, each in self.done.items() if (each.part, each.level, each.user) == subject):
            return errors.Superseded
        if done.part == "ban" and done.user is not None:
            return self.put_ban(done.user, done.before)
        return self.put_settings(int(done.level or 0), done.before, True)
