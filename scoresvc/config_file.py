"""Reads the options from a file, and from the command line."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from scoresvc.config import SECTIONS, Config, options_of
from scoresvc.errors import BadSetting, StartError

SECRET = "(?<=//).*@|(?<=postgres://).*|(?<=postgresql://).*|(?<=password).*"  # what may be one, in any line


class Setting(NamedTuple):
    """One option as someone wrote it; `source` names the file or the command line."""

    source: str
    section: str
    option: str
    text: str


def load() -> Config:
    """Reads `$SCORESVC_CONFIG`, or else `./config.ini`, or else nothing.

    Paths are relative to the file's own folder. Raises StartError for a file
    that cannot be read, an unknown section or option, a value of the wrong kind, or settings of levels that
    contradict each other.
    """
    named = os.environ.get("SCORESVC_CONFIG")
    path = Path(named or "config.ini").absolute()
    if not named and not path.exists():
        return Config()
    config = _resolve(apply(Config(), _parse(path)), path.parent)
    try:
        _ = config.levels.defaults
    except BadSetting as error:
        raise StartError(f"{path}: [levels] {error}") from None
    return config


def apply(config: Config, settings: Iterable[Setting]) -> Config:
    """Returns `config` with `settings` in place of what it had; raises StartError."""
    for setting in settings:
        section = getattr(config, setting.section)
        options = options_of(setting.section)
        if setting.option not in options:
            raise _wrong(setting, f"no such option; the section has: {', '.join(options)}")
        try:
            value = options[setting.option].kind.read(setting.text)
        except ValueError as error:
            raise _wrong(setting, str(error)) from None
        config = replace(config, **{setting.section: replace(section, **{setting.option: value})})
    return config


def _wrong(setting: Setting, complaint: str) -> StartError:
    option = options_of(setting.section).get(setting.option)
    text = "..." if option and option.is_secret else _line(setting.text)
    return StartError(f"{setting.source}: [{setting.section}] {setting.option} = {text}: {complaint}")


def _line(text: str) -> str:
    """A value as one visible line, without what may be the user and the password of an address."""
    return re.sub(SECRET, "...", text if text.isprintable() else repr(text))


def _parse(path: Path) -> list[Setting]:
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = _line(" ".join(str(error).split()))
        raise StartError(f"{path}: cannot be read as a configuration: {reason}") from None
    for section in parser.sections():
        if section not in SECTIONS:
            options = ", ".join(f"{option} = {_line(text)}" for option, text in parser.items(section))
            raise StartError(f"{path}: [{section}] {options}: no such section; there are: {', '.join(SECTIONS)}")
    return [
        Setting(str(path), section, option, text)
        for section in parser.sections()
        for option, text in parser.items(section)
    ]


def _resolve(config: Config, folder: Path) -> Config:
    log_file = config.log.file and folder / config.log.file
    backups = config.backup.folder and folder / config.backup.folder
    blocked_names = config.users.blocked_names and folder / config.users.blocked_names
    return replace(
        config,
        database=replace(config.database, path=folder / config.database.path),
        log=replace(config.log, file=log_file),
        backup=replace(config.backup, folder=backups),
        users=replace(config.users, blocked_names=blocked_names),
    )
