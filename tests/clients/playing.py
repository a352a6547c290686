"""A player with the Python client, whose process may be killed: `python -m tests.clients.playing URL FILE LEVEL COUNT`.

Posts the scores 1 to COUNT, each with its number as `meta`, from the one on that no earlier run came to, and prints
each one whose `post` has returned.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scoresvc.client import ScoreClient


def main(url: str, file: str, level: int, count: int) -> None:
    noted = Path(f"{file}.posted")
    client = ScoreClient(url, file, timeout=2.0, backoff=0.02)
    done = int(noted.read_text()) if noted.exists() else 0
    for score in range(done + 1, count + 1):
        noted.write_text(str(score))
        client.post(level, score, meta=str(score))
        print(score, flush=True)
    while client.flush(1.0):
        pass
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
