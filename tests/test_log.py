from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoresvc import config, log
from scoresvc.errors import StartError

access_log = logging.getLogger("scoresvc.access")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "service.log"
    log.stop_logging()


def test_a_line_has_time_level_logger_and_message(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path))

    log.log_access("127.0.0.1", 3, "GET /", "200 OK", 0.0001)
    log.stop_logging()

    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO scoresvc\.access: 127\.0\.0\.1 3 GET / 200 0\.1\n"
    assert re.fullmatch(line, path.read_text())


def test_a_line_is_written_soon(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path))

    log.log_access("127.0.0.1", 3, "here", "200 OK", 0.0)

    until = time.monotonic() + 5
    while "here" not in path.read_text():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_an_error_is_written_at_once_with_its_traceback(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path))

    try:
        raise KeyError("a bug")
    except KeyError:
        logging.getLogger("scoresvc.wsgi").exception("a call failed")

    assert "KeyError: 'a bug'" in path.read_text()


def test_below_the_level_nothing_is_logged(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path, level="warning"))

    access_log.info("no")
    log.log_access("127.0.0.1", 3, "no", "200 OK", 0.0)
    access_log.warning("yes")
    log.stop_logging()

    assert path.read_text().endswith("yes\n")
    assert "no" not in path.read_text()


def test_a_full_file_makes_room_for_a_new_one_and_no_line_is_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FILE_BYTES_MAX", 1000)
    log.start_logging(config.LogOptions(file=path))

    for number in range(70):
        access_log.error("line %d", number)
    log.stop_logging()

    written = "".join(file.read_text() for file in path.parent.iterdir())
    assert all(f"line {number}\n" in written for number in range(70))


def test_each_further_process_writes_a_file_of_its_own(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path), process=2)

    access_log.error("here")

    assert "here" in path.with_name("service.2.log").read_text()


def test_a_log_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot write the log"):
        log.start_logging(config.LogOptions(file=tmp_path / "nowhere" / "service.log"))


def test_a_file_that_is_moved_is_followed_by_a_new_one(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path))
    access_log.error("before")

    path.rename(path.with_suffix(".1"))
    access_log.error("after")

    assert "before" in path.with_suffix(".1").read_text()
    assert path.read_text().endswith("after\n")


def test_a_log_is_reopened_on_demand(path: Path) -> None:
    log.start_logging(config.LogOptions(file=path))
    access_log.error("before")

    path.rename(path.with_suffix(".1"))
    log.reopen_log()

    assert path.read_text() == ""


def test_a_log_on_a_full_disk_complains_once_and_raises_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.start_logging(config.LogOptions(file=Path("/dev/full")))
    monkeypatch.setattr(log.LogFile, "_is_in_place", lambda file: True)

    for _ in range(100):
        access_log.error("lost")
    log.stop_logging()

    said = capsys.readouterr().err
    assert said.count("cannot write the log") == 1
    assert "Traceback" not in said
