"""Does what an operator at a shell wants done."""

from __future__ import annotations

from scoresvc import storage
from scoresvc.actions import AnyAction
from scoresvc.config import Config

ACTOR = "shell"


def perform(config: Config, action: AnyAction) -> int:
    """Prints the number of the action, nothing where there was nothing to do; returns exit status 0.

    Raises a Refusal as the call under /admin does, and StartError where the database cannot be opened.
    """
    with storage.open_admin(config) as admin:
        record = admin.perform(ACTOR, action)
    if record is not None:
        print(record.id)
    return 0
