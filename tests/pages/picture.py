"""Makes the picture of a board that the README shows, from scores that are posted to a service."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.pages.conftest import CHROMIUM
from tests.pages.players import Players
from tests.running import Server

PICTURE = Path(__file__).with_name("board.png")
SCORES = {
    "Ada": 91_250, "Möwe": 88_900, "שלום": 88_900, "Zoë": 74_310, "Пингвин": 70_005, "Reynard": 66_120, "i": 59_940,
}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server, sync_playwright() as playwright:
        players = Players(server)
        level = players.new_level(title="Nebula Run", periods="day,week", unit=" km", format="decimal:2")
        for user_id, (name, score) in enumerate(SCORES.items(), start=1):
            players.post(level, user_id, score, name)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 640, "height": 480})
        page.goto(f"http://127.0.0.1:{server.port}/{level}/board?period=week&user=4")
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
