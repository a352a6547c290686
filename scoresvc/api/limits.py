"""Counts what a client does, and refuses what is too much."""

from __future__ import annotations

import time
from collections.abc import Callable

from scoresvc.addresses import ClientAddresses
from scoresvc.api.request import Request
from scoresvc.config import Config
from scoresvc.errors import TooMany
from scoresvc.rate_limits import BUCKETS_MAX, Rate, RateLimiter

LIMITS = 5


class Limits:
    """The limits of a process; `on_refusal` is called for each request that is refused."""

    def __init__(
        self,
        config: Config,
        on_refusal: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def limiter(rate: Rate) -> RateLimiter:
            return RateLimiter(rate, clock, BUCKETS_MAX // LIMITS)

        options = config.limits
        self.addresses = ClientAddresses(config.http.proxies)
        self.on_refusal = on_refusal
        self.posts_of_user = limiter(options.posts_per_user)
        self.posts = limiter(options.posts_per_address)
        self.logins = limiter(options.logins_per_address)
        self.new_users = limiter(options.new_per_address)
        self.wrong_keys = limiter(options.wrong_keys_per_address)


class Client:
    """Who sent a request. Methods raise TooMany; a limit that is off costs nothing."""

    __slots__ = ("_limits", "_request")

    def __init__(self, request: Request, limits: Limits) -> None:
        self._request = request
        self._limits = limits

    def count_login(self) -> None:
        self._count_by_address(self._limits.logins, "logins from this address")

    def count_new_user(self) -> None:
        self._count_by_address(self._limits.new_users, "new users from this address")

    def count_post(self, user_id: int) -> None:
        limits = self._limits
        if limits.posts_of_user.is_on:
            self._count(limits.posts_of_user, user_id, "posts of this user")
        self._count_by_address(limits.posts, "posts from this address")

    def count_wrong_key(self) -> None:
        """To be called before a wrong key or secret is refused: whoever has a right one is never asked to wait."""
        self._count_by_address(self._limits.wrong_keys, "wrong keys from this address")

    def _count_by_address(self, limiter: RateLimiter, what: str) -> None:
        if not limiter.is_on:
            return
        address = self._limits.addresses.find(self._request.remote_address, self._request.headers)
        if address is not None:
            self._count(limiter, address, what)

    def _count(self, limiter: RateLimiter, key: str | int, what: str) -> None:
        wait = limiter.take(key)
        if wait:
            self._limits.on_refusal()
            raise TooMany(what, wait)
