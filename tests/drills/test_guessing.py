"""Nobody learns from the time of a refusal who exists; `python -m tests.drills.guessing` measures it closely."""

from __future__ import annotations

from pathlib import Path

from tests.drills.guessing import guess


def test_a_wrong_secret_is_refused_in_the_time_of_an_unknown_user(tmp_path: Path) -> None:
    guesses = guess(tmp_path, 300)

    assert guesses.difference < 0.5, guesses
