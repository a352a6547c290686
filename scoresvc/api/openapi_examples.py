"""An example of each call, with the answer in plain text: what tests/api/test_openapi.py really gets, in this order.

Before the first one, users 4711 and 131 have posted 1500 and 1220 to level 2. Keys, secrets, times and the number of a
new user are others each time.
"""

from __future__ import annotations

from typing import NamedTuple

KEY = "UICSNDKQ7M2XW4ZJ6HTA5RVB3LYGEPFO"
TIME = "2026-11-27T03:04:05.678Z"


class Example(NamedTuple):
    path: str
    text: str  # of the answer
    body: str = ""


EXAMPLES: dict[str, Example] = {
    "GET /": Example("/", "Hello, World!"),
    "GET /health": Example("/health", "ok"),
    "GET /ready": Example("/ready", "ready"),
    "POST /new": Example("/new?name=Ada", f"user=1038187050\nsecret={KEY}\nsessionkey={KEY}\n"),
    "GET /<userid>/login": Example("/4711/login", KEY),
    "POST /<levelid>/score": Example("/2/score", "", "1600"),
    "GET /<levelid>/score/<score>": Example("/2/score/1500", ""),
    "POST /<userid>/claim": Example("/4711/claim", KEY),
    "PUT /<userid>/name": Example("/4711/name", "Grace", "Grace"),
    "GET /<userid>/name": Example("/4711/name", "Grace"),
    "DELETE /<userid>/name": Example("/4711/name", ""),
    "GET /<userid>/scores": Example("/4711/scores", "2=1600"),
    "GET /<levelid>/highscorelist": Example("/2/highscorelist", "4711=1600,131=1220"),
    "GET /<levelid>/rank/<userid>": Example("/2/rank/131", "2"),
    "GET /<levelid>/around/<userid>": Example("/2/around/131?count=3", "4711=1600,131=1220"),
    "GET /<levelid>/settings": Example(
        "/2/settings",
        "order=desc\nkeep=best\nmin=\nmax=\ntitle=\nformat=number\nunit=\nperiods=\nzone=UTC\nposts=anyone\npace=\n"
        "listed=yes\n",
    ),
    "GET /levels": Example("/levels", "2=2"),
    "GET /admin/levels/<levelid>/submissions": Example(
        "/admin/levels/2/submissions?user=131", f"2\t131\t1220\t{TIME}\tstands\n"
    ),
    "GET /admin/held": Example("/admin/held", ""),
    "POST /admin/submissions/<submission>/remove": Example("/admin/submissions/2/remove", "2"),
    "POST /admin/submissions/<submission>/restore": Example("/admin/submissions/2/restore", "3"),
    "POST /admin/submissions/<submission>/approve": Example("/admin/submissions/2/approve", ""),
    "DELETE /admin/levels/<levelid>/scores/<userid>": Example("/admin/levels/2/scores/131", "4"),
    "POST /admin/actions/<action>/undo": Example("/admin/actions/4/undo", "5"),
    "POST /admin/users/<userid>/ban": Example("/admin/users/131/ban?reason=cheats", "6"),
    "DELETE /admin/users/<userid>/ban": Example("/admin/users/131/ban", "7"),
    "PUT /admin/users/<userid>/name": Example("/admin/users/131/name", "8", "name=Bob"),
    "GET /admin/users": Example("/admin/users?name=bob", "131\tBob\t\n"),
    "DELETE /admin/users/<userid>/name": Example("/admin/users/131/name", "9"),
    "DELETE /admin/users/<userid>/secret": Example("/admin/users/4711/secret", "10"),
    "PUT /admin/levels/<levelid>": Example("/admin/levels/2?periods=day", "11"),
    "GET /<levelid>/periods": Example("/2/periods", "2026-11-27"),
    "DELETE /admin/levels/<levelid>": Example("/admin/levels/2", "12"),
    "POST /admin/levels/<levelid>/score": Example("/admin/levels/2/score?user=131", "", "1700"),
    "POST /admin/login": Example("/admin/login?user=131", KEY),
    "POST /admin/levels/<levelid>/clear": Example("/admin/levels/2/clear", "13"),
    "DELETE /admin/users/<userid>": Example("/admin/users/131", "14"),
    "GET /admin/actions": Example("/admin/actions?limit=1", f"14\t{TIME}\toperator\terase\t\t\t\t\t{{}}\t{{}}\n"),
    "GET /admin/levels/<levelid>": Example(
        "/admin/levels/2",
        "order=desc\nkeep=best\nmin=\nmax=\ntitle=\nformat=number\nunit=\nperiods=\nzone=UTC\nposts=anyone\npace=\n"
        "listed=yes\nhold=\n",
    ),
    "GET /admin/users/<userid>": Example(
        "/admin/users/9",
        '{"user": 9, "name": null, "claimed": false, "external": null, "ban": null, "scores": [], "submissions": [],'
        ' "sessions": 0}',
    ),
}
