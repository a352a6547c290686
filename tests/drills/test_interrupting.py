from __future__ import annotations

import pytest

from tests.drills import interrupting

pytestmark = pytest.mark.sqlite


def test_whatever_is_killed_leaves_something_whole() -> None:
    interrupted = interrupting.run(kills=3)

    assert all(interrupted.values())
