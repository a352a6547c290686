"""Posts scores."""

from __future__ import annotations

from collections.abc import Callable

from scoresvc.errors import Banned
from scoresvc.scores import NO_DETAILS, PostDetails, PostResult, Replay
from scoresvc.storage.keyed_posts import read_answer
from scoresvc.storage.sqlite.appends import is_held
from scoresvc.storage.sqlite.checked_posts import REFUSALS, CheckedPostChanges, Output, find_keyed_post
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.rules import Rules
from scoresvc.storage.sqlite.scores import make_held_result, make_result
from scoresvc.storage.sqlite.sessions import LoginRules
from scoresvc.storage.sqlite.transactions import Begin
from scoresvc.storage.write import Write


class Scores:
    """Posts scores with `begin`, see `ScoreStore`; `clock` returns Unix seconds."""

    def __init__(
        self,
        readers: Readers,
        begin: Begin,
        changes: CheckedPostChanges,
        users: LoginRules,
        rules: Rules,
        tells_held: bool,
        clock: Callable[[], float],
    ) -> None:
        self._readers = readers
        self._begin = begin
        self._changes = changes.scores
        self._checked = changes
        self._users = users
        self._rules = rules
        self._tells_held = tells_held
        self._clock = clock

    def post(
        self, level_id: int, user_id: int, score: int, details: PostDetails = NO_DETAILS
    ) -> Write[PostResult | Replay] | Write[None]:
        self._refuse_banned(user_id)
        if self._depends_on_stored(user_id, details):
            return self._begin_checked(level_id, user_id, score, details)
        return self._begin(self._changes.post, (level_id, user_id, score, details.meta), _nothing)

    def post_and_rank(
        self, level_id: int, user_id: int, score: int, details: PostDetails = NO_DETAILS
    ) -> Write[PostResult | Replay]:
        self._refuse_banned(user_id)
        if self._depends_on_stored(user_id, details):
            return self._begin_checked(level_id, user_id, score, details)
        tells = self._tells_held and is_held(self._rules.settings_of(level_id), score)
        row = (level_id, user_id, score, details.meta)
        return self._begin(self._changes.post_and_rank, row, make_held_result if tells else make_result)

    def find_replay(self, level_id: int, user_id: int, score: int, key: str) -> Replay | None:
        with self._readers.snapshot() as connection:
            stored = find_keyed_post(connection, user_id, key, int(self._clock() * 1_000_000))
        if stored is None:
            return None
        return Replay(read_answer(stored.replay(level_id, score), self._tells_held))

    def delete_old_keys(self, count: int) -> int:
        return self._begin(self._checked.purge, (self._clock(), count), int).result()

    def _depends_on_stored(self, user_id: int, details: PostDetails) -> bool:
        if details.key is not None:
            return True
        return details.name is not None and details.name != self._users.known(user_id).name

    def _begin_checked(
        self, level_id: int, user_id: int, score: int, details: PostDetails
    ) -> Write[PostResult | Replay]:
        name, meta, key = details
        row = (level_id, user_id, score, meta, key, self._users.names.check(name))
        return self._begin(self._checked.post, row, self._read_output)

    def _read_output(self, output: Output) -> PostResult | Replay:
        code, is_replay, answer = output
        if code:
            raise REFUSALS[code]
        result = read_answer(answer, self._tells_held)
        return Replay(result) if is_replay else result

    def _refuse_banned(self, user_id: int) -> None:
        ban = self._users.ban_of(user_id)
        if ban and not ban.hide:
            raise Banned


def _nothing(may_have_changed: bool) -> None:
    return None
