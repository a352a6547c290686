"""Operators, and what they ask."""

from __future__ import annotations

from typing import Any

from webtest import TestApp, TestResponse

from scoresvc.actions import AddToken
from scoresvc.api.admin_parameters import FieldParameter
from scoresvc.api.call import Call
from scoresvc.storage import Store
from scoresvc.storage.keys import hash_key, make_key

JSON = {"Accept": "application/json"}
EXAMPLES = {"levelid": "2", "userid": "131", "submission": "1", "action": "2"}


def add_token(store: Store, rights: str = "all", levels: str = "*", expires_at: int | None = None) -> str:
    """Returns a token; its name says what it may."""
    text = make_key()
    store.admin.perform(
        "shell", AddToken(f"{rights}.{levels}", hash_key(text), tuple(rights.split(",")), levels, expires_at)
    ).result()
    return text


class Operator:
    """Somebody with a token."""

    def __init__(self, app: TestApp, token: str) -> None:
        self._app = app
        self._token = token

    def ask(self, method: str, path: str, body: str = "", status: int | str = 200, **headers: str) -> TestResponse:
        """A body is a form unless `Content_Type` says otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token:
            named["Authorization"] = f"Bearer {self._token}"
        if body:
            named.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return self._app.request(f"/admin/{path}", method=method, body=body.encode(), headers=named, status=status)

    def ask_json(self, method: str, path: str, body: str = "", status: int = 200) -> Any:
        return self.ask(method, path, body, status, Accept="application/json", Content_Type="application/json").json

    def refused(self, method: str, path: str, body: str = "", status: int = 400) -> str:
        """Returns the code of the refusal."""
        code: str = self.ask(method, path, body, status, Accept="application/json").json["error"]["code"]
        return code


def path_of(call: Call, **others: str) -> str:
    """The path of a call, behind /admin/, with a right query."""
    path = call.path.removeprefix("/admin/")
    for name, number in (EXAMPLES | others).items():
        path = path.replace(f"<{name}>", number)
    if call.path == "/admin/users":
        return path + "?name=Ann"
    return path + (
        "?user=131" if any(each.name == "user" and isinstance(each, FieldParameter) for each in call.takes) else ""
    )


def body_of(call: Call) -> str:
    names = {each.name for each in call.takes}
    return "score=7" if "score" in names else "name=Ann" if call.path.endswith("/name") and "name" in names else ""
