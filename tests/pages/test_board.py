"""The board in a browser: what people see, and that it changes."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from scoresvc.limits import UINT31_MAX
from tests.pages.players import Players
from tests.pages.sites import serve_site
from tests.running import Server
from tests.test_readme import blocks

SHOWN_WITHIN = 3000  # milliseconds after a change

TEXTS = "rows => rows.map(row => row.innerText.split(/\\s*\\t\\s*/).slice(0, 3).join(' | '))"


def rows(page: Any) -> list[str]:
    """Rank, player and score of each row."""
    found: list[str] = page.locator("tbody tr").evaluate_all(TEXTS)
    return found


def is_wider_than_its_window(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.fixture(scope="module")
def level(players: Players) -> int:
    level = players.new_level(title="Nebula Run", format="decimal:2", unit=" km", periods="day,week,month")
    players.fill(level, 30)
    return level


@pytest.mark.parametrize("theme", ["light", "dark", "clear"])
def test_a_board_is_readable_in_every_theme(
    open_page: Any, level: int, find_violations: Any, take_screenshot: Any, theme: str
) -> None:
    page = open_page(f"/{level}/board?theme={theme}&user=12&period=week")

    assert rows(page)[:2] == ["1 | Ada | 998.99 km", "2 | Möwe | 995.96 km"]
    assert find_violations(page) == []
    take_screenshot(page, f"board-{theme}", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_board_follows_the_colours_of_the_device(
    open_page: Any, level: int, find_violations: Any, scheme: str
) -> None:
    page = open_page(f"/{level}/board", color_scheme=scheme)

    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(245, 246, 250)") == (scheme == "light")
    assert find_violations(page) == []


def test_a_board_fits_the_smallest_phone(
    open_page: Any, players: Players, take_screenshot: Any, find_violations: Any
) -> None:
    level = players.new_level(
        title="A title of many words that goes on and on", unit=" light-years", periods="day,week,month"
    )
    players.fill(level)
    players.post(level, 6, UINT31_MAX)

    page = open_page(f"/{level}/board?user=6", width=320, height=700)

    assert not is_wider_than_its_window(page)
    assert find_violations(page) == []
    take_screenshot(page, "board-phone", full_page=True)


def test_names_of_both_directions_keep_to_their_cells(open_page: Any, level: int) -> None:
    page = open_page(f"/{level}/board")

    for name in ("שלום עולם", "محمد الفارس"):
        row = page.locator("tr", has_text=name)
        rank, player, score = (row.locator(cell).bounding_box() for cell in (".rank", ".player", ".score"))
        assert rank["x"] < player["x"] < score["x"]


def test_what_others_wrote_never_runs(open_page: Any, players: Players) -> None:
    bad = ["<script>alert(1)", '"><img onerror>', "{{7*7}}", "' onload='x", "javascript:1"]
    level = players.new_level(title="<img src=x onerror=x>")
    for number, name in enumerate(bad):
        players.post(level, 100 + number, 10 - number, name)
    dialogs: list[str] = []

    page = open_page(f"/{level}/board")
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    players.post(level, 200, 11, "<script>alert(2)")
    page.locator("tr", has_text="alert(2)").wait_for(timeout=SHOWN_WITHIN)

    assert page.locator("tbody th bdi").all_inner_texts() == ["<script>alert(2)", *bad]
    assert page.locator("h1").inner_text() == "<img src=x onerror=x>"
    assert (page.locator("main img").count(), page.locator("script").count(), dialogs) == (0, 1, [])


def test_a_thousand_rows_are_one_page(open_page: Any, players: Players, server: Server) -> None:
    level = players.new_level()
    for user_id in range(1000):
        players.ask_as_operator("POST", f"/admin/levels/{level}/score", f"user={user_id}&score={user_id}")

    page = open_page(f"/{level}/board?limit=1000&user=13")

    assert len(rows(page)) == 1000
    assert page.locator("tr[aria-current]").inner_text().split()[:3] == ["987", "Player", "13"]


def test_a_board_without_scores_invites(
    open_page: Any, players: Players, take_screenshot: Any, find_violations: Any
) -> None:
    page = open_page(f"/{players.new_level(title='Quiet')}/board")

    assert "No scores yet." in page.locator("main").inner_text()
    assert find_violations(page) == []
    take_screenshot(page, "board-empty")


def test_the_tabs_lead_to_the_periods_and_say_when_the_next_one_begins(open_page: Any, level: int) -> None:
    page = open_page(f"/{level}/board?user=3")

    page.get_by_role("link", name="Today").click()

    assert page.get_by_role("link", name="Today").get_attribute("aria-current") == "page"
    assert page.locator("time.end").inner_text().startswith("in ")
    assert page.locator("tr[aria-current]").count() == 1
    page.get_by_role("link", name="The day before").click()
    assert "Nobody played." in page.locator("main").inner_text()


def test_a_change_is_shown_within_three_seconds(open_page: Any, players: Players) -> None:
    level = players.new_level()
    players.post(level, 1, 1000, "Ada")
    players.post(level, 51, 900)
    page = open_page(f"/{level}/board")
    assert rows(page) == ["1 | Ada | 1000", "2 | Player 51 | 900"]
    page.evaluate("window.moved = 0; Element.prototype.animate = () => { window.moved += 1 }; 0")

    players.post(level, 51, 1100)
    page.get_by_role("cell", name="1100").wait_for(timeout=SHOWN_WITHIN)

    assert rows(page) == ["1 | Player 51 | 1100", "2 | Ada | 1000"]
    assert page.evaluate("window.moved") > 0


def test_the_neighbours_of_a_user_change_with_the_board_and_are_no_copies_of_its_rows(
    open_page: Any, players: Players
) -> None:
    level = players.new_level()
    for user_id in range(301, 321):
        players.post(level, user_id, 10_000 - 10 * user_id)
    page = open_page(f"/{level}/board?user=315&limit=3")
    before = rows(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url.rpartition("/")[2]))

    players.post(level, 317, 6865)
    page.get_by_role("cell", name="6865").wait_for(timeout=SHOWN_WITHIN)

    assert [row.split(" | ")[0] for row in before] == ["1", "2", "3", "13", "14", "15", "16", "17"]
    assert [row.split(" | ")[1] for row in rows(page)[3:]] == [
        "Player 317", "Player 314", "Player 315 you", "Player 316", "Player 318",
    ]  # fmt: skip
    assert page.locator("tr[aria-current] .player").inner_text() == "Player 315 you"
    assert set(requests) == {"events?user=315&limit=3"}

    players.post(level, 315, 20_000)
    page.locator("tr[aria-current].place-1").wait_for(timeout=SHOWN_WITHIN)

    assert page.locator("tr[aria-current]").count() == 1
    assert page.locator("tbody").count() == 1


def test_rows_stand_still_for_those_who_want_no_motion(open_page: Any, players: Players) -> None:
    level = players.new_level()
    players.post(level, 1, 1000)
    page = open_page(f"/{level}/board", reduced_motion="reduce")
    page.evaluate("window.moved = 0; Element.prototype.animate = () => { window.moved += 1 }; 0")

    players.post(level, 2, 1100)
    page.get_by_role("cell", name="1100").wait_for(timeout=SHOWN_WITHIN)

    assert page.evaluate("window.moved") == 0


def test_a_board_that_is_not_live_stays_as_it_is(open_page: Any, players: Players) -> None:
    level = players.new_level()
    players.post(level, 51, 1000)
    requests: list[str] = []
    page = open_page(f"/{level}/board?live=no")
    page.on("request", lambda request: requests.append(request.url))

    players.post(level, 2, 1100)
    time.sleep(SHOWN_WITHIN / 1000)

    assert (rows(page), requests) == (["1 | Player 51 | 1000"], [])


def test_a_page_is_read_without_a_script(open_page: Any, level: int) -> None:
    page = open_page(f"/{level}/board", java_script_enabled=False)

    assert page.locator("tbody tr").count() == 15
    assert page.locator("tbody time").first.inner_text()


def test_the_levels_lead_to_their_boards(
    open_page: Any, level: int, find_violations: Any, take_screenshot: Any
) -> None:
    page = open_page("/")
    assert find_violations(page) == []
    take_screenshot(page, "levels")

    page.get_by_role("link", name="Nebula Run").click()

    assert page.locator("h1").inner_text() == "Nebula Run"


# In a frame


FRAME = """<!doctype html>
<title>A game</title>
<iframe title="Scores" src="ADDRESS" width="600" height="500" ATTRIBUTES></iframe>"""


@pytest.mark.parametrize(
    ("name", "attributes", "headers"),
    [
        ("plain", "", {}),
        ("sandboxed", 'sandbox="allow-scripts"', {}),
        ("without-scripts", "sandbox", {}),
        (
            "isolated",
            "",
            {"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin"},
        ),
    ],
)
def test_a_board_is_shown_in_a_frame_of_another_site(
    open_page: Any,
    players: Players,
    address: str,
    take_screenshot: Any,
    name: str,
    attributes: str,
    headers: dict[str, str],
) -> None:
    level = players.new_level(title="In a frame")
    players.fill(level, 5)
    document = FRAME.replace("ADDRESS", f"{address}/{level}/board").replace("ATTRIBUTES", attributes)

    with serve_site(document, headers) as site:
        page = open_page(site, expected="Blocked script execution" if attributes == "sandbox" else "")
        frame = page.frame_locator("iframe")
        frame.locator("tbody tr").first.wait_for()
        assert frame.locator("tbody tr").count() == 5
        if attributes != "sandbox":
            players.post(level, 5, 200_000)
            frame.get_by_role("cell", name="200000").wait_for(timeout=SHOWN_WITHIN)
        take_screenshot(page, f"frame-{name}")
        assert page.evaluate("crossOriginIsolated") == (name == "isolated")


def test_the_frame_and_the_overlay_of_the_readme_show_a_board(open_page: Any, players: Players, address: str) -> None:
    level = players.new_level()
    players.fill(level, 12)
    frame, overlay = (
        blocks(language)[place].replace("https://scores.example.com/2/", f"{address}/{level}/")
        for language, place in (("html", 0), ("text", 0))
    )

    with serve_site(f"<!doctype html><title>A game</title>{frame}") as site:
        page = open_page(site)
        page.frame_locator("iframe").locator("tbody tr").first.wait_for()

    assert open_page(overlay.strip()).locator("tbody tr").count() == 8


def test_an_overlay_lets_the_video_below_be_seen(
    open_page: Any, players: Players, address: str, take_screenshot: Any
) -> None:
    level = players.new_level(title="On a stream", periods="day")
    players.fill(level, 8)

    page = open_page(f"/{level}/board?theme=clear&title=no&period=day", width=1920, height=1080)
    picture = page.screenshot(omit_background=True)

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert has_clear_corner(page, picture)
    page.evaluate("document.documentElement.style.background = 'linear-gradient(#24324a, #c97b5a) fixed'")
    take_screenshot(page, "overlay")


def has_clear_corner(page: Any, picture: bytes) -> bool:
    """Whether the first point of a picture is see-through."""
    return bool(
        page.evaluate(
            """async (picture) => {
                const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
                const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
                const canvas = new OffscreenCanvas(1, 1).getContext("2d");
                canvas.drawImage(bitmap, 0, 0);
                return canvas.getImageData(0, 0, 1, 1).data[3] === 0;
            }""",
            base64.b64encode(picture).decode(),
        )
    )
