"""Writes HTML documents from templates, each with its style and script inside.

A document loads nothing else, and its Content-Security-Policy lets nothing in but that style and that script, by their
hashes, and answers of the service. So all that a template inserts is text: Jinja escapes each value, and what would get
past that runs nowhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

ICON_SOURCES = "data:"

_ASSETS = files(__name__.rpartition(".")[0]) / "assets"
_TEMPLATES = Environment(
    loader=PackageLoader("scoresvc.pages"),
    autoescape=True,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


class Assets(NamedTuple):
    """The style and the script of a document."""

    style: Markup
    script: Markup

    def policy(self, frames: Sequence[str]) -> str:
        """Returns the Content-Security-Policy of a document that only `frames` may show in a frame: CSP Level 3."""
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src {_source_of(self.script)}",
                f"style-src {_source_of(self.style)}",
                f"img-src {ICON_SOURCES}",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                f"frame-ancestors {' '.join(_write_frame(each) for each in frames) or _NOBODY}",
            )
        )


_NOBODY = "'none'"


def _write_frame(source: str) -> str:
    return "'self'" if source == "self" else source


def _source_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def read_assets(style: str, script: str) -> Assets:
    return Assets(*(Markup((_ASSETS / name).read_text(encoding="utf-8")) for name in (style, script)))


def write_document(template: str, assets: Assets, **values: object) -> str:
    return _TEMPLATES.get_template(template).render(assets=assets, **values)
