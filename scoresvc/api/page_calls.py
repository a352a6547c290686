"""The table of the calls for people who look at boards."""

from __future__ import annotations

from scoresvc.api import formats, pages, views
from scoresvc.api.call import Call
from scoresvc.api.page_parameters import LAST_EVENT_ID, LIVE, OWN_USER, PAGE_LIMIT, THEME, TITLE
from scoresvc.api.parameters import AFTER, LEVEL, LIMIT, PERIOD, USERS
from scoresvc.pages.admin import AdminPage
from scoresvc.pages.boards import BoardPage, LevelIndex
from scoresvc.scores import BoardEvent

BOARD_PAGE = Call(
    "GET",
    "/<levelid>/board",
    pages.board,
    takes=(LEVEL, LIMIT, AFTER, USERS, PERIOD, OWN_USER, THEME, TITLE, LIVE),
    gives=BoardPage,
    text=formats.BOARD_PAGE,
    is_slow=True,
    summary="The board as a page, which shows changes as they happen; browsers get it for `highscorelist`, too.",
)
LEVELS_PAGE = Call(
    "GET",
    "/",
    pages.levels,
    takes=(PAGE_LIMIT, AFTER, THEME),
    gives=LevelIndex,
    text=formats.LEVELS_PAGE,
    is_slow=True,
    summary="The levels as a page.",
)
ADMIN_PAGE = Call(
    "GET",
    "/admin",
    pages.admin,
    takes=(),
    gives=AdminPage,
    text=formats.ADMIN_PAGE,
    option="pages.admin",
    summary="The page of operators; its calls are those below.",
)
EVENTS = Call(
    "GET",
    "/<levelid>/events",
    views.events,
    takes=(LEVEL, LIMIT, AFTER, USERS, PERIOD, OWN_USER, LAST_EVENT_ID),
    gives=BoardEvent,
    text=formats.EVENTS,
    is_status=True,
    summary="Whether a board has changed, for `EventSource`, which asks again 2 s after the stream has ended.",
)
