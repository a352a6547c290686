"""Cross-origin requests of browsers: the CORS protocol of the Fetch standard, section 3.2.

A response is the same for all origins, or `Vary` says that it is not: else a cache would give one site's to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scoresvc.api.request import Headers

ANY = "*"
PREFLIGHT_AGE = 7200  # seconds, the longest that Chromium keeps it
EXPOSED = "ETag, Idempotent-Replayed, Retry-After, WWW-Authenticate"
ALLOWED = "Authorization, Accept, Content-Type, Idempotency-Key, If-None-Match, X-Unity-Version"

NOT_CROSS_ORIGIN = Headers((("Vary", "Accept"),))  # what a response has that no page of another origin may read


class CrossOrigin:
    """What pages of other origins may do: those of `origins`, ANY among them for all, `null` for a sandboxed frame."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._listed = {} if ANY in origins else {origin: _allow("Accept, Origin", origin) for origin in origins}
        if ANY in origins:
            self._others = _allow("Accept", ANY)
        else:
            self._others = Headers((("Vary", "Accept, Origin" if origins else "Accept"),))

    def headers_for(self, sent: Mapping[str, str]) -> Headers:
        """Returns what every response to a request with the header `sent` has."""
        return self._listed.get(sent.get("origin", ""), self._others) if self._listed else self._others

    def preflight_headers(self, sent: Mapping[str, str], methods: Sequence[str]) -> Headers:
        """Returns what a preflight is answered besides; nothing where the request is none, or is not allowed."""
        if "access-control-request-method" not in sent or len(self.headers_for(sent)) == 1:
            return Headers()
        return Headers(
            (
                ("Access-Control-Allow-Methods", ", ".join(methods)),
                ("Access-Control-Allow-Headers", ALLOWED),
                ("Access-Control-Max-Age", str(PREFLIGHT_AGE)),
            )
        )


def _allow(vary: str, origin: str) -> Headers:
    return Headers(
        (("Vary", vary), ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED))
    )
