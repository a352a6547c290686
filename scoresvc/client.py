"""A client of scoresvc for games in Python: this one file, with the standard library alone.

    from scoresvc.client import ScoreClient

    scores = ScoreClient("https://scores.example.com", "scores.json")
    posted = scores.post(2, 1500)  # level, score; makes a user the first time
    print(f"rank {posted['rank']}" if posted else "offline: sent later")

The file of a player keeps the user, the secret and the scores that are not answered yet. A score is on disk before it
is sent, with an id by which the service counts it once, and is taken off only when it has been answered: so none is
lost or counted twice, wherever a game ends, and whatever the network loses. What is unsent goes out in order with the
next `post` or `flush`, also after a restart; where the service cannot take it, after `Retry-After` or a random time up
to 1, 2, 4, … 60 s. A session that has expired is begun again.

Methods block for `timeout` seconds at most for each answer; any thread may call them, a game that must not wait uses
one of its own. They raise ScoreError: `code` is the word of the service, or "no_answer". A score that is refused is
gone.

A lost answer to the making of a user leaves a user without scores, which harms nobody. The service knows an id for a
day. What is older is still sent: on a level that keeps sums it counts twice if it had been stored, but the answer lost.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

__all__ = ["LoginRefused", "ScoreClient", "ScoreError"]

BACKOFF_MAX = 60.0  # seconds
RETRY_AFTER_MAX = 3600.0  # seconds
ANSWER_BYTES_MAX = 1 << 22
FAILURES_COUNTED = 16
NO_ANSWER = "no_answer"
EXPIRED = 401
RETRIED = (408, 429)  # and all from 500 on: the score may be taken later

Json = dict[str, Any]
NOTHING: Json = {}


class ScoreError(Exception):
    """The service refused a call, or there was no answer; `str()` of it is a line for people."""

    def __init__(self, code: str, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status  # of HTTP; 0 where there was no answer
        self.retry_after = retry_after  # seconds

    @property
    def is_final(self) -> bool:
        """Whether the same call would be refused again."""
        return 400 <= self.status < 500 and self.status not in RETRIED


class LoginRefused(ScoreError):
    """The user who plays may not log in: a wrong secret, a ban."""


class ScoreClient:
    """The scores of one player, whose state is in the file at `path`; times are in seconds.

    Levels, users and scores are whole numbers from 0 to 2147483647. Answers are those that the service gives in JSON;
    `query` are the parameters of a call, such as `limit=5` or `period="week"`.
    """

    def __init__(self, url: str, path: str | os.PathLike[str], timeout: float = 10.0, backoff: float = 1.0) -> None:
        self._service = _Service(url.rstrip("/"), timeout)
        self._state = _State(Path(path))
        self._player = _Player(self._service, self._state)
        self._pauses = _Pauses(backoff)
        self._sending = threading.RLock()

    @property
    def user(self) -> int | None:
        """The user who plays; None before the first one."""
        return self._player.user

    @property
    def unsent(self) -> int:
        """How many scores are not answered yet, of all users of this file."""
        return len(self._state.values["unsent"])

    def new_user(self, name: str | None = None) -> Json:
        """Makes a user, who plays from now on."""
        with self._sending:
            return self._player.create(name)

    def login(self, user: int, secret: str | None = None) -> None:
        """Lets a user play from now on, offline too."""
        with self._sending:
            self._player.change(user, secret)

    def post(self, level: int, score: int, meta: str | None = None) -> Json | None:
        """Returns what the score changed; None where it is not answered yet, and is kept."""
        with self._sending:
            entry: Json = {"id": uuid.uuid4().hex, "level": level, "score": score, "user": self.user}
            self._state.change(unsent=[*self._state.values["unsent"], entry | ({"meta": meta} if meta else {})])
            return self._send_until(entry["id"])

    def flush(self, seconds: float = 10.0) -> int:
        """Sends what is unsent, for so long at most; returns how many still are."""
        until = time.monotonic() + seconds
        while self._next() and time.monotonic() < until:
            with self._sending:
                self._send_until(None)
            if self._next():
                time.sleep(max(0.0, min(self._pauses.ends_at, until) - time.monotonic()))
        return self.unsent

    def board(self, level: int, **query: Any) -> Json:
        return self._service.ask("entries", "GET", f"/{level}/highscorelist", query)

    def around(self, level: int, **query: Any) -> Json:
        """Returns the board around the user who plays."""
        return self._service.ask("entries", "GET", f"/{level}/around/{self.user}", query)

    def rank(self, level: int, **query: Any) -> Json:
        """Returns where the user who plays stands."""
        return self._service.ask("rank", "GET", f"/{level}/rank/{self.user}", query)

    def name(self, name: str) -> Json:
        """Gives the user who plays a name; the answer has it as it is kept."""
        with self._sending:
            return self._player.ask("name", "PUT", f"/{self.user}/name", {"name": name})

    def watch(self, level: int, **query: Any) -> Iterator[Json]:
        """Yields the board, and again after each change, for as long as it is asked for the next one."""
        last_id, pauses = "", _Pauses(self._pauses.base)
        while True:
            try:
                event = self._service.ask_event(f"/{level}/events", query, last_id)
            except ScoreError as error:
                if error.is_final:
                    raise
                time.sleep(pauses.begin(error))
                continue
            pauses.end()
            last_id = event.get("id", last_id)
            if event.get("data"):
                yield json.loads(event["data"])
            time.sleep(int(event.get("retry", 2000)) / 1000)

    def _next(self) -> Json | None:
        """Returns the first score that the user who plays can send."""
        return next((each for each in self._state.values["unsent"] if each["user"] in (None, self.user)), None)

    def _send_until(self, wanted: str | None) -> Json | None:
        """Sends what is unsent; returns the answer to the score with the id `wanted`. Raises its refusal."""
        outcome: Json | ScoreError | None = None
        while time.monotonic() >= self._pauses.ends_at and (entry := self._next()):
            answer = self._send(entry)
            if isinstance(answer, ScoreError) and (not answer.is_final or isinstance(answer, LoginRefused)):
                self._pauses.begin(answer)
                outcome = answer if isinstance(answer, LoginRefused) and wanted else outcome
                break
            self._pauses.end()
            self._state.change(unsent=[each for each in self._state.values["unsent"] if each["id"] != entry["id"]])
            outcome = answer if entry["id"] == wanted else outcome
        if isinstance(outcome, ScoreError):
            raise outcome
        return outcome

    def _send(self, entry: Json) -> Json | ScoreError:
        fields: Json = {name: entry[name] for name in ("score", "meta") if name in entry}
        try:
            if self.user is None:
                self._player.create(None)
            return self._player.ask("improved", "POST", f"/{entry['level']}/score", fields, entry["id"])
        except ScoreError as error:
            return error


class _Pauses:
    """How long to wait before the next try: `base` seconds at most after the first failure, then twice as long."""

    def __init__(self, base: float) -> None:
        self.base = base
        self.ends_at = 0.0  # of time.monotonic
        self._failures = 0

    def begin(self, error: ScoreError) -> float:
        """Returns the seconds to wait."""
        seconds = random.uniform(0, min(BACKOFF_MAX, self.base * 2**self._failures))
        if error.retry_after is not None:
            seconds = min(error.retry_after, RETRY_AFTER_MAX) + random.uniform(0, self.base)
        self._failures = min(self._failures + 1, FAILURES_COUNTED)
        self.ends_at = time.monotonic() + seconds
        return seconds

    def end(self) -> None:
        self._failures = 0


class _State:
    """What is kept of a player, as JSON in a file that is whole at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: Json = {"user": None, "secret": None, "unsent": []}
        if path.exists():
            self.values |= json.loads(path.read_text(encoding="utf-8"))

    def change(self, **values: Any) -> None:
        """Changes values; they are on disk when this returns."""
        changed = self.values | values
        part = self._path.with_name(f"{self._path.name}.part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(changed, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._path)
        self.values = changed


class _Player:
    """The user who plays, and the session of that user."""

    def __init__(self, service: _Service, state: _State) -> None:
        self._service = service
        self._state = state
        self._key: str | None = None

    @property
    def user(self) -> int | None:
        user: int | None = self._state.values["user"]
        return user

    def create(self, name: str | None) -> Json:
        made = self._service.ask("sessionkey", "POST", "/new", body={"name": name} if name else {})
        self._state.change(user=made["user"], secret=made["secret"])
        self._key = made["sessionkey"]
        return made

    def change(self, user: int, secret: str | None) -> None:
        if secret is None and user == self.user:
            secret = self._state.values["secret"]
        self._state.change(user=user, secret=secret)
        self._log_in()

    def ask(self, field: str, method: str, path: str, body: Json, post_id: str = "") -> Json:
        """Calls with a session key; once more with another one where it has expired."""
        if self._key:
            try:
                return self._service.ask(field, method, path, body=body, key=self._key, post_id=post_id)
            except ScoreError as error:
                if error.status != EXPIRED:
                    raise
        try:
            return self._service.ask(field, method, path, body=body, key=self._log_in(), post_id=post_id)
        except ScoreError as error:
            if error.status == EXPIRED and not isinstance(error, LoginRefused):  # a new key is not: ask again later
                raise ScoreError(NO_ANSWER, str(error)) from None
            raise

    def _log_in(self) -> str:
        try:
            answer = self._service.ask("sessionkey", "POST", f"/{self.user}/login", key=self._state.values["secret"])
        except ScoreError as error:
            if error.is_final:
                raise LoginRefused(error.code, str(error), error.status) from None
            raise
        self._key = str(answer["sessionkey"])
        return self._key


class _NoRedirects(HTTPRedirectHandler):
    """The service sends none: they come from somebody else, such as the page of a network that wants a login."""

    def redirect_request(self, *values: Any) -> None:
        return None


class _Service:
    """Calls the service at `url`. Methods raise ScoreError."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._opener = build_opener(_NoRedirects)

    def ask(
        self, field: str, method: str, path: str, query: Mapping[str, Any] = NOTHING, body: Json | None = None,
        key: str | None = None, post_id: str = "",
    ) -> Json:  # fmt: skip
        """Returns an answer in JSON, which has `field`; what has not is no answer of the service."""
        headers = {"Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"Idempotency-Key": post_id} if post_id else {}
        text = self._send(method, path, query, headers, body)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or field not in answer:
            raise ScoreError(NO_ANSWER, "what answered is not the service")
        return answer

    def ask_event(self, path: str, query: Mapping[str, Any], last_id: str) -> dict[str, str]:
        """Returns the fields of the one event that the service sends."""
        text = self._send("GET", path, query, {"Accept": "text/event-stream", "Last-Event-ID": last_id}, None)
        fields = dict(line.split(": ", 1) for line in text.decode(errors="replace").splitlines() if ": " in line)
        if "retry" not in fields:
            raise ScoreError(NO_ANSWER, "what answered is not the service")
        return fields

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], headers: dict[str, str], body: Json | None
    ) -> bytes:
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"} if data else {}
        try:
            with self._opener.open(Request(url, data, headers, method=method), timeout=self._timeout) as response:
                return bytes(response.read(ANSWER_BYTES_MAX))
        except HTTPError as error:
            with error:
                raise _read_refusal(error) from None
        except (OSError, HTTPException) as error:
            raise ScoreError(NO_ANSWER, f"no answer: {error}") from None


def _read_refusal(error: HTTPError) -> ScoreError:
    retry_after = _read_retry_after(error.headers.get("Retry-After", ""))
    try:
        told = json.loads(error.read(ANSWER_BYTES_MAX))["error"]
        return ScoreError(str(told["code"]), str(told["message"]), error.code, retry_after)
    except (OSError, HTTPException, ValueError, LookupError, TypeError):  # of a proxy, or of somebody else
        return ScoreError(NO_ANSWER, f"no answer of the service, but status {error.code}", 0, retry_after)


def _read_retry_after(text: str) -> float | None:
    """Returns the seconds of `Retry-After` (RFC 9110, 10.2.3), which may be a date."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None
