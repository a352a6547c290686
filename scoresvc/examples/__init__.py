"""The files for a deployment that `scoresvc example` prints."""

from __future__ import annotations

from importlib.resources import files

EXAMPLES = {
    "systemd": "scoresvc@.service",
    "nginx": "nginx.conf",
    "caddy": "Caddyfile",
    "docker": "Dockerfile",
    "compose": "compose.yaml",
    "prometheus": "prometheus.yml",
    "alerts": "alerts.yml",
    "litestream": "litestream.yml",
}


def read_example(name: str) -> str:
    return (files(__name__) / EXAMPLES[name]).read_text(encoding="utf-8")
