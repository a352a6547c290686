"""A game on a page of another origin, in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.running import Server

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)

PAGE = """<!doctype html>
<pre id="result"></pre>
<script>
async function play(service) {
    const found = {};
    const ask = async (name, path, options) => {
        try {
            const response = await fetch(service + path, options);
            found[name] = [response.status, await response.text()];
            return response;
        } catch (error) {
            found[name] = [0, String(error)];
        }
    };
    await ask("login", "/4711/login");
    const headers = { Authorization: "Bearer " + found.login[1] };
    await ask("post", "/2/score", { method: "POST", headers, body: "1500" });
    const json = { ...headers, "Content-Type": "application/json", "X-Unity-Version": "2022.3" };
    await ask("post in JSON", "/2/score", { method: "POST", headers: json, body: JSON.stringify({ score: 1600 }) });
    await ask("post in a form", "/2/score", { method: "POST", headers, body: new URLSearchParams({ score: 1700 }) });
    const form = new FormData();
    form.append("score", 1800);
    await ask("post in multipart", "/2/score", { method: "POST", headers, body: form });
    const list = await ask("list", "/2/highscorelist");
    found.tag = list.headers.get("ETag") !== null;
    const again = { headers: { "If-None-Match": list.headers.get("ETag") }, cache: "no-store" };
    await ask("the same list", "/2/highscorelist", again);
    await ask("JSON", "/2/around/4711", { headers: { Accept: "application/json" } });
    const refused = await ask("wrong key", "/2/score", { method: "POST", body: "1" });
    found.authenticate = refused.headers.get("WWW-Authenticate");
    await ask("no such path", "/nothing");
    found.login[1] = found.login[1].length;
    document.getElementById("result").textContent = JSON.stringify(found);
}
play("SERVICE");
</script>
"""


class Page(BaseHTTPRequestHandler):
    """Serves PAGE for the service at `service`."""

    service = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.replace("SERVICE", self.service).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def play(server: Server, profile: Path) -> dict[str, Any]:
    """Returns what the game on the page found."""
    Page.service = f"http://127.0.0.1:{server.port}"
    with HTTPServer(("localhost", 0), Page) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command += ["--virtual-time-budget=10000", "--dump-dom", f"http://localhost:{site.server_port}/"]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
        site.shutdown()
    result = re.search('<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert result, dom
    found: dict[str, Any] = json.loads(html.unescape(result[1]) or "null")
    return found


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_a_game_on_a_page_of_another_origin_logs_in_posts_and_reads(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        found = play(server, tmp_path / "profile")

    assert found["login"] == [200, 32]
    assert [found[name] for name in found if name.startswith("post")] == [[200, ""]] * 4
    assert (found["list"], found["tag"]) == ([200, "4711=1800"], True)
    assert found["the same list"] == [304, ""]
    assert json.loads(found["JSON"][1])["entries"][0]["score"] == 1800
    assert (found["wrong key"][0], found["authenticate"]) == (401, "Bearer")
    assert found["no such path"][0] == 404


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_a_page_whose_origin_is_not_listed_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[http]\norigins = https://game.example\n")

    with Server(tmp_path) as server:
        found = play(server, tmp_path / "profile")

    assert found is None
    assert "POST /2/score" not in server.log  # the preflight said no
