"""The page of operators in a browser, with a token that was typed in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pages.players import Players


@pytest.fixture
def desk(open_page: Any, players: Players) -> Any:
    """The page, signed in."""
    token = players.get_token()  # there is no page before there is one
    page = open_page("/admin", width=1100)
    sign_in(page, token)
    return page


def sign_in(page: Any, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation").wait_for()


def open_board(page: Any, level: int, show: str = "the board") -> None:
    page.get_by_role("link", name="Boards").click()
    page.locator("#boards").get_by_label("Level").fill(str(level))
    page.get_by_label("Show").select_option(show)
    page.get_by_role("button", name="Open").click()
    page.locator("#boards .found :is(table, p)").wait_for()


def confirm(page: Any, verb: str, words: str, **answers: str) -> None:
    """Answers the one question, which must say what will be done."""
    dialog = page.get_by_role("dialog")
    assert words in dialog.inner_text()
    for label, text in answers.items():
        dialog.get_by_label(label.replace("_", " ")).fill(text)
    page.locator("#messages").evaluate("messages => messages.replaceChildren()")  # so that the next one is seen
    dialog.get_by_role("button", name=verb).click()
    page.get_by_role("status").get_by_text("Done").wait_for()


def undo(page: Any) -> None:
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    confirm(page, "Undo", "is again as it was before")


def users(page: Any) -> list[str]:
    found: list[str] = page.locator("#boards tbody tr td:nth-child(2)").all_inner_texts()
    return found


def test_a_token_is_typed_and_kept_by_the_tab_alone(open_page: Any, players: Players) -> None:
    token = players.get_token()
    page = open_page("/admin", expected="401")
    assert not page.get_by_role("navigation").is_visible()

    page.get_by_label("Token").fill("WRONG")
    page.get_by_role("button", name="Sign in").click()
    assert "token" in page.get_by_role("alert").inner_text()

    sign_in(page, token)
    assert page.context.cookies() == []
    assert page.evaluate("[Object.values(sessionStorage).length, localStorage.length]") == [1, 0]
    page.reload()
    page.get_by_role("navigation").wait_for()

    page.get_by_role("button", name="Sign out").click()
    assert page.evaluate("sessionStorage.length") == 0
    assert not page.get_by_role("navigation").is_visible()


def test_a_score_is_removed_after_one_question_and_comes_back(
    desk: Any, players: Players, take_screenshot: Any
) -> None:
    level = players.new_level()
    players.fill(level, 4)
    open_board(desk, level)
    assert users(desk) == ["1", "2", "3", "4"]

    desk.get_by_role("button", name="Remove the score of user 2").click()
    take_screenshot(desk, "admin-question")
    desk.get_by_role("button", name="Cancel").click()
    assert users(desk) == ["1", "2", "3", "4"]

    desk.get_by_role("button", name="Remove the score of user 2").click()
    confirm(desk, "Remove", f"Remove the score of user 2 on level {level}?")
    assert users(desk) == ["1", "3", "4"]
    take_screenshot(desk, "admin-boards")

    undo(desk)
    assert users(desk) == ["1", "2", "3", "4"]


def test_a_user_is_banned_and_renamed_from_a_board(desk: Any, players: Players) -> None:
    level = players.new_level()
    players.post(level, 61, 100)
    players.post(level, 62, 90)
    open_board(desk, level)

    desk.get_by_role("button", name="Rename user 62").click()
    confirm(desk, "Rename", "Give user 62 another name?", Name="<b>Bob</b>")
    assert "<b>Bob</b>" in desk.locator("#boards table").inner_text()

    desk.get_by_role("button", name="Ban user 61").click()
    confirm(desk, "Ban", "leave all boards", Reason="speed hack")
    assert users(desk) == ["62"]
    undo(desk)
    assert users(desk) == ["61", "62"]


def test_the_posts_of_a_level_are_removed_and_restored(desk: Any, players: Players) -> None:
    level = players.new_level()
    for score in (10, 20):
        players.post(level, 63, score)
    open_board(desk, level, "all posts")

    desk.get_by_role("button", name="Remove post").first.click()
    confirm(desk, "Remove", "Remove the post of 20 by user 63")
    open_board(desk, level, "posts that are removed")
    desk.get_by_role("button", name="Restore post").click()
    confirm(desk, "Restore", "It counts again.")

    assert "none" in desk.locator("#boards .found").inner_text()


@pytest.mark.parametrize(
    ("by", "text"), [("number", "64"), ("name", "ZOÉ 64"), ("name on your own server", "steam:64")]
)
def test_a_user_is_found_by_number_by_name_and_by_the_servers_text(
    desk: Any, players: Players, take_screenshot: Any, by: str, text: str
) -> None:
    level = players.new_level()
    players.post(level, 64, 700, "Zoe 64")
    served = players.ask_as_operator("POST", "/admin/login", "external=steam:64")
    assert served

    desk.get_by_role("link", name="Users").click()
    desk.get_by_label("Search by").select_option(by)
    desk.get_by_label("User", exact=True).fill(text)
    desk.get_by_role("button", name="Search").click()
    if by != "number":
        desk.locator("#users tbody a").click()

    desk.locator("#users h3", has_text="User ").wait_for()
    if by != "name on your own server":
        assert "700" in desk.locator("#users table").first.inner_text()
        take_screenshot(desk, "admin-user")


def test_a_user_is_erased_for_good(desk: Any, players: Players) -> None:
    level = players.new_level()
    players.post(level, 65, 700)
    desk.evaluate("location.hash = 'users/65'")

    desk.get_by_role("button", name="Erase").click()
    confirm(desk, "Erase for ever", "This cannot be undone.")

    assert "cannot be undone" in desk.get_by_role("status").inner_text()
    assert desk.get_by_role("status").get_by_role("button").count() == 0
    assert "Scores: none" in desk.locator("#users").inner_text()


def test_a_held_post_is_approved(desk: Any, players: Players) -> None:
    level = players.new_level(hold="500")
    players.post(level, 66, 600)
    desk.get_by_role("link", name="Held posts").click()

    desk.locator("tr", has_text="600").get_by_role("button", name="Approve").click()
    confirm(desk, "Approve", "It counts from now on.")
    open_board(desk, level)

    assert users(desk) == ["66"]


def test_settings_say_what_they_mean_and_are_changed_together(
    desk: Any, players: Players, take_screenshot: Any
) -> None:
    level = players.new_level(title="Old")
    desk.get_by_role("link", name="Settings").click()
    desk.locator("#level").get_by_label("Level").fill(str(level))
    desk.locator("#level").get_by_role("button", name="Open").click()
    desk.locator("#set-title").wait_for()
    assert "Whether more is better" in desk.locator("#about-order").inner_text()

    desk.locator("#set-title").fill("New & <shiny>")
    desk.locator("#set-order").select_option("asc")
    take_screenshot(desk, "admin-settings", full_page=True)
    desk.get_by_role("button", name="Save").click()
    confirm(desk, "Save", "order: desc → asc; title: Old → New & <shiny>")
    assert desk.locator("#set-title").input_value() == "New & <shiny>"

    undo(desk)
    assert (desk.locator("#set-title").input_value(), desk.locator("#set-order").input_value()) == ("Old", "desc")


def test_what_the_service_refuses_is_said_and_changes_nothing(open_page: Any, players: Players) -> None:
    token, level = players.get_token(), players.new_level()
    page = open_page("/admin", expected="400")
    sign_in(page, token)
    page.get_by_role("link", name="Settings").click()
    page.locator("#level").get_by_label("Level").fill(str(level))
    page.locator("#level").get_by_role("button", name="Open").click()
    page.locator("#set-zone").fill("Mars")

    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()

    assert "IANA time zone" in page.get_by_role("alert").inner_text()


def test_an_action_is_undone_from_the_list(desk: Any, players: Players, take_screenshot: Any) -> None:
    level = players.new_level(title="Before")
    players.ask_as_operator("PUT", f"/admin/levels/{level}", "title=After")
    desk.get_by_role("link", name="Actions").click()
    row = desk.locator("tr", has_text=f"set level, level {level}").first
    assert '{"title":"Before"}' in row.inner_text()
    take_screenshot(desk, "admin-actions")

    row.get_by_role("button", name="Undo").click()
    confirm(desk, "Undo", "is again as it was before")

    assert "title=Before" in players.ask_as_operator("GET", f"/admin/levels/{level}")


def test_the_state_of_the_service_is_shown(desk: Any, take_screenshot: Any) -> None:
    desk.get_by_role("link", name="Health").click()
    desk.get_by_role("heading", name="What the limits did").wait_for()

    text = desk.locator("#health").inner_text()
    for words in ("ready", "Last backup", "Refused by a limit", "Posts accepted"):
        assert words in text
    take_screenshot(desk, "admin-health")


def test_the_page_works_with_the_keyboard_alone(open_page: Any, players: Players) -> None:
    token, level = players.get_token(), players.new_level()
    players.fill(level, 2)
    page = open_page("/admin")
    press, type_in = page.keyboard.press, page.keyboard.type

    def tab_to(name: str) -> None:
        for _ in range(60):
            press("Tab")
            if (
                page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText")
                == name
            ):
                return
        raise AssertionError(name)

    type_in(token)  # the field has the focus
    press("Enter")
    page.get_by_role("navigation").wait_for()
    tab_to("Boards")
    press("Enter")
    press("Tab")
    for _ in range(8):
        if page.evaluate("document.activeElement.name") == "level":
            break
        press("Tab")
    type_in(str(level))
    press("Enter")
    page.locator("#boards table").wait_for()
    tab_to("Remove the score of user 1")
    press("Enter")
    page.get_by_role("dialog").wait_for()
    press("Escape")
    assert users(page) == ["1", "2"]
    press("Enter")  # the button has the focus again
    page.get_by_role("dialog").wait_for()
    tab_to("Remove")
    press("Enter")
    page.get_by_role("status").get_by_text("Done").wait_for()
    assert users(page) == ["2"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(open_page: Any, players: Players, find_violations: Any, scheme: str) -> None:
    token, level = players.get_token(), players.new_level(hold="5")
    page = open_page("/admin", color_scheme=scheme)
    assert find_violations(page) == []
    sign_in(page, token)
    players.post(level, 67, 1)
    players.post(level, 67, 5)

    open_board(page, level)
    assert find_violations(page) == []
    page.get_by_role("button", name="Ban user 67").click()
    assert find_violations(page) == []
    page.keyboard.press("Escape")
    for hash_, shown in (
        ("users/67", "#users table"), ("held", "#held table"), ("actions", "#actions table"), ("health", "#health h3"),
        ("settings", "#level"),
    ):  # fmt: skip
        page.evaluate(f"location.hash = '{hash_}'")
        page.locator(shown).first.wait_for()
        assert find_violations(page) == []
    page.locator("#level").get_by_label("Level").fill(str(level))
    page.keyboard.press("Enter")
    page.locator("#set-title").wait_for()
    assert find_violations(page) == []
