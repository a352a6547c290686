"""Players, and an operator, who fill boards for pages to show."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from itertools import count
from urllib.parse import urlencode

from tests.running import Server

NAMES = {
    1: "Ada",
    2: "Möwe",
    3: "שלום עולם",
    4: "محمد الفارس",
    5: "Wolfeschlegelsteinhausen",
    6: "WWWWWWWWWWWWWWWWWWWWWWWW",
    7: "Zoë",
    8: "Пингвин",
    9: "i",
}


class Players:
    """Posts for users by number; each test takes levels of its own from `new_level`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._levels = count(1)
        self._keys: dict[int, str] = {}
        self.token = ""

    def new_level(self, **settings: str) -> int:
        level_id = next(self._levels)
        if settings:
            self.ask_as_operator("PUT", f"/admin/levels/{level_id}", urlencode(settings))
        return level_id

    def post(self, level_id: int, user_id: int, score: int, name: str = "") -> None:
        if user_id not in self._keys:
            _, self._keys[user_id] = self._server.call("GET", f"/{user_id}/login")
        query = urlencode({"sessionkey": self._keys[user_id], **({"name": name} if name else {})})
        status, text = self._server.call("POST", f"/{level_id}/score?{query}", str(score))
        assert status == 200, text

    def fill(self, level_id: int, users: int = 12) -> None:
        """Has so many users post, those of NAMES among them, the first ones with the best scores."""
        for user_id in range(1, users + 1):
            self.post(level_id, user_id, 100_000 - 101 * user_id * user_id, NAMES.get(user_id, ""))

    def ask_as_operator(self, method: str, path: str, form: str = "") -> str:
        headers = {"Authorization": f"Bearer {self.get_token()}", "Content-Type": "application/x-www-form-urlencoded"}
        with closing(self._server.connect()) as connection:
            connection.request(method, path, form, headers)
            response = connection.getresponse()
            text = response.read().decode()
        assert response.status == 200, text
        return text

    def get_token(self) -> str:
        if not self.token:
            command = (sys.executable, "-m", "scoresvc", "token", "add", "operator", "--rights", "all")
            added = subprocess.run(command, cwd=self._server.folder, capture_output=True, text=True, check=True)
            self.token = added.stdout.strip()
        return self.token
