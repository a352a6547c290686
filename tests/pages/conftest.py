"""A real browser in front of the running service."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.pages.players import Players
from tests.running import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), "")
HAS_PLAYWRIGHT = bool(importlib.util.find_spec("playwright") and importlib.util.find_spec("axe_playwright_python"))

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    if not HAS_PLAYWRIGHT:
        pytest.skip("the extra `browser` is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("pages")) as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="session")
def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def players(server: Server) -> Players:
    return Players(server)


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[OpenPage]:
    """Opens an address, or a path of the service, in a browser of its own. At the end nobody may have
    complained, but of what was `expected`."""
    complaints: list[str] = []
    expectations: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    with ExitStack() as stack:

        def open_in_context(path: str, width: int = 800, height: int = 900, expected: str = "", **options: Any) -> Page:
            expectations.append(expected)
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(5000)
            page.on("console", note)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(path if "://" in path else address + path)
            return page

        yield open_in_context
    assert [each for each in complaints if not any(part and part in each for part in expectations)] == []


@pytest.fixture(scope="session")
def find_violations(browser: Browser) -> Callable[[Page], list[str]]:
    """Returns what axe-core finds against the rules of accessibility, and against good practice."""
    source = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

    def find(page: Page) -> list[str]:
        page.evaluate(source)
        found = page.evaluate("axe.run()")["violations"]
        return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]

    return find


@pytest.fixture
def take_screenshot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keeps a picture of a page in the folder of `--screenshots`, where there is one."""
    folder = request.config.getoption("screenshots")

    def take(page: Page, name: str, **options: Any) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled", **options)

    return take
