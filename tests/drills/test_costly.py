"""What costs most leaves room for all others; `python -m tests.drills.costly` measures it, with ten million scores."""

from __future__ import annotations

from pathlib import Path

from tests.drills.costly import run


def test_twenty_clients_who_ask_for_much_leave_room_for_others(tmp_path: Path) -> None:
    (cost,) = run(tmp_path, scores=20_000, levels=2000, seconds=0.2, names=["scores on 1000 levels"])

    assert 0 < cost.cpu < 1, cost
    assert cost.reads < 1, cost
