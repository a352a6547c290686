"""The calls that answer with a page."""

from __future__ import annotations

from scoresvc.api.views import read_view, version_of
from scoresvc.pages.admin import AdminPage
from scoresvc.pages.boards import BoardPage, LevelIndex, Look
from scoresvc.periods import PeriodWish
from scoresvc.storage import Store


def board(
    store: Store, level_id: int, limit: int, after: str | None, users: list[int] | None, period: PeriodWish,
    user: int | None, theme: str, title: bool, live: bool,
) -> BoardPage:  # fmt: skip
    view = read_view(store, level_id, limit, after, users, period, user)
    settings = store.levels.settings_of(level_id)
    wanted = None if users is None else tuple(users)
    return BoardPage(view, version_of(view), settings, Look(theme, title, live), limit, wanted, period, user)


def levels(store: Store, limit: int, after: str | None, theme: str) -> LevelIndex:
    return LevelIndex(store.levels.levels(limit, after), Look(theme))


def admin(store: Store) -> AdminPage:
    return AdminPage()
