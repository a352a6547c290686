"""`config.ini` as one frozen `Config`; the only list of options."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from scoresvc.errors import StartError

Reader = Callable[[str], Any]


def _option(default: Any, read: Reader) -> Any:
    """Declares an option: its default, and how its text is read (ValueError says what is right)."""
    return field(default=default, metadata={"read": read})


def _whole(low: int, high: int) -> Reader:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _one_of(*words: str) -> Reader:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of: {', '.join(words)}")
        return text

    return read


def _yes_or_no(text: str) -> bool:
    if text.lower() not in configparser.RawConfigParser.BOOLEAN_STATES:
        raise ValueError("must be yes or no")
    return configparser.RawConfigParser.BOOLEAN_STATES[text.lower()]


def _host(text: str) -> str:
    if not text or re.search(r"[\s\0/]", text):
        raise ValueError("must be a host name or an address")
    return text


def _path(text: str) -> Path:
    if "\0" in text or not Path(text).name:
        raise ValueError("must be the path of a file")
    return Path(text)


def _path_or_none(text: str) -> Path | None:
    return _path(text) if text else None


@dataclass(frozen=True)
class Server:
    host: str = _option("127.0.0.1", _host)
    port: int = _option(8080, _whole(0, 65535))
    threads: int = _option(8, _whole(1, 256))
    processes: int = _option(1, _whole(1, 64))
    server: str = _option("waitress", _one_of("waitress", "granian"))


@dataclass(frozen=True)
class Database:
    path: Path = _option(Path("scores.sqlite3"), _path)
    durability: str = _option("full", _one_of("full", "process"))


@dataclass(frozen=True)
class Sessions:
    lifetime: int = _option(600, _whole(1, 10**9))
    one_per_user: bool = _option(False, _yes_or_no)


@dataclass(frozen=True)
class Tcp:
    enabled: bool = _option(False, _yes_or_no)
    host: str = _option("127.0.0.1", _host)
    port: int = _option(12000, _whole(0, 65535))
    frame_bytes_max: int = _option(65536, _whole(64, 2**24))
    timeout: int = _option(10, _whole(1, 3600))
    connections_max: int = _option(500, _whole(1, 100_000))


@dataclass(frozen=True)
class Log:
    file: Path | None = _option(None, _path_or_none)
    level: str = _option("info", _one_of("debug", "info", "warning", "error", "critical"))


@dataclass(frozen=True)
class Config:
    """All options; `config.ini` says what each means, in which unit."""

    server: Server = Server()
    database: Database = Database()
    sessions: Sessions = Sessions()
    tcp: Tcp = Tcp()
    log: Log = Log()


class Setting(NamedTuple):
    """One option as someone wrote it; `source` names the file or the command line."""

    source: str
    section: str
    option: str
    text: str


def load() -> Config:
    """Reads `$SCORESVC_CONFIG`, or else `./config.ini`, or else nothing.

    Paths are relative to the file's own folder. Raises StartError for a file
    that cannot be read, an unknown section or option, or a value of the wrong kind.
    """
    named = os.environ.get("SCORESVC_CONFIG")
    path = Path(named or "config.ini").absolute()
    if not named and not path.exists():
        return Config()
    return _resolve(apply(Config(), _parse(path)), path.parent)


def apply(config: Config, settings: Iterable[Setting]) -> Config:
    """Returns `config` with `settings` in place of what it had; raises StartError."""
    for setting in settings:
        section = getattr(config, setting.section)
        readers = {option.name: option.metadata["read"] for option in fields(section)}
        if setting.option not in readers:
            raise _wrong(setting, f"no such option; the section has: {', '.join(readers)}")
        try:
            value = readers[setting.option](setting.text)
        except ValueError as error:
            raise _wrong(setting, str(error)) from None
        config = replace(config, **{setting.section: replace(section, **{setting.option: value})})
    return config


def _wrong(setting: Setting, complaint: str) -> StartError:
    return StartError(f"{setting.source}: [{setting.section}] {setting.option} = {_line(setting.text)}: {complaint}")


def _line(text: str) -> str:
    """A value as one visible line."""
    return text if text.isprintable() else repr(text)


def _parse(path: Path) -> list[Setting]:
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = " ".join(str(error).split())
        raise StartError(f"{path}: cannot be read as a configuration: {reason}") from None
    known = [section.name for section in fields(Config)]
    for section in parser.sections():
        if section not in known:
            options = ", ".join(f"{option} = {_line(text)}" for option, text in parser.items(section))
            raise StartError(f"{path}: [{section}] {options}: no such section; there are: {', '.join(known)}")
    return [
        Setting(str(path), section, option, text)
        for section in parser.sections()
        for option, text in parser.items(section)
    ]


def _resolve(config: Config, folder: Path) -> Config:
    log_file = config.log.file and folder / config.log.file
    return replace(
        config,
        database=replace(config.database, path=folder / config.database.path),
        log=replace(config.log, file=log_file),
    )
