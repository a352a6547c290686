from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc import config, config_file
from scoresvc.config import Config
from scoresvc.config_file import Setting
from scoresvc.errors import StartError
from scoresvc.levels import LevelSettings

MANUAL = Path(__file__).parent.parent / "config.ini"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Loads a file with this text through $SCORESVC_CONFIG."""

    def load_text(text: str) -> Config:
        path = tmp_path / "some.ini"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("SCORESVC_CONFIG", str(path))
        return config_file.load()

    return load_text


def test_the_manual_is_what_the_options_declare() -> None:
    sections = MANUAL.read_text(encoding="utf-8").split("\n\n", 1)[1]

    assert sections == "\n\n".join(describe_section(name) for name in config.SECTIONS) + "\n"


def describe_section(section: str) -> str:
    """A section of the manual: each option with its meaning, its bounds and its default."""
    lines = [f"[{section}]"]
    for name, option in config.options_of(section).items():
        text = f"{option.meaning} {option.kind.describe()[:1].upper()}{option.kind.describe()[1:]}."
        lines += textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"{name} = {as_text(getattr(getattr(Config(), section), name))}".rstrip())
    return "\n".join(lines)


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else str(value)


def test_the_manual_is_a_configuration_with_all_defaults(load) -> None:
    settings = load(MANUAL.read_text(encoding="utf-8"))

    database = replace(settings.database, path=Path(settings.database.path.name))
    assert replace(settings, database=database) == Config()


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCORESVC_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    assert config_file.load() == Config()


def test_a_file_in_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCORESVC_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.ini").write_text("[server]\nport = 9000\n")

    assert config_file.load().server.port == 9000


def test_values_are_read_by_kind(load) -> None:
    settings = load("[sessions]\nlifetime = 60\none_per_user = Yes\n[database]\ndurability = process\n")

    assert (settings.sessions.lifetime, settings.sessions.one_per_user) == (60, True)
    assert settings.database.durability == "process"


def test_paths_are_relative_to_the_folder_of_the_file(load, tmp_path: Path) -> None:
    settings = load("[database]\npath = data/s.sqlite3\n[log]\nfile = s.log\n")

    assert settings.database.path == tmp_path / "data/s.sqlite3"
    assert settings.log.file == tmp_path / "s.log"


@pytest.mark.parametrize(
    "setting",
    [
        "[server] port = 70000",
        "[server] port = -1",
        "[server] port = ٣",
        "[server] port =",
        "[server] threads = 0",
        "[server] host = a b",
        "[server] port = 80\n  90",
        "[database] path = /",
        "[server] prot = 8080",
        "[database] path =",
        "[database] durability = most",
        "[sessions] lifetime = 10m",
        "[sessions] one_per_user = maybe",
        "[tcp] timeout = 1.5",
        "[log] level = loud",
        "[levels] zone = Berlin",
        "[levels] periods = day,year",
        "[levels] format = decimal:4",
        "[levels] title = Hill",
        "[history] days = -1",
        "[sever] port = 8080",
        "[DEFAULT] port = 8080",
        "[__class__] __name__ = x",
    ],
)
def test_a_wrong_setting_is_refused_by_file_section_option_value(load, setting: str) -> None:
    section, _, option = setting.partition(" ")
    name, _, value = option.partition(" =")

    with pytest.raises(StartError) as refused:
        load(f"{section}\n{option}\n")

    line = str(refused.value)
    assert len(line.splitlines()) == 1
    for word in ("some.ini", section, name, *value.split()):
        assert word in line


def test_the_lowest_score_of_levels_is_not_above_the_highest(load) -> None:
    with pytest.raises(StartError, match=r"some\.ini: \[levels\] min must be at most max, 5, not 9"):
        load("[levels]\nmin = 9\nmax = 5\n")


def test_a_unit_keeps_its_blank_in_quotes(load) -> None:
    assert load('[levels]\nunit = " m"\nperiods = week, day\n').levels.defaults == LevelSettings(
        unit=" m", periods=("day", "week")
    )


@pytest.mark.parametrize(
    "text", ["port = 1", "[server\nport=1", "[server]\nport=1\nport=2", "[server]\nport", "[empty]"]
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(load, text: str) -> None:
    with pytest.raises(StartError) as refused:
        load(text)

    assert "some.ini" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_named_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORESVC_CONFIG", str(tmp_path / "missing.ini"))

    with pytest.raises(StartError, match=r"missing\.ini"):
        config_file.load()


def test_the_command_line_is_read_by_the_same_rules() -> None:
    with pytest.raises(StartError, match=r"command line: \[server\] port = x: must be a whole number"):
        config_file.apply(Config(), [Setting("command line", "server", "port", "x")])


@pytest.mark.parametrize(
    "text",
    [
        "[database]\nurl = postgresql://me:pass word@host/scores",
        "[database]\nurl = postgresql://me:s3cret@@host/scores",
        "[database]\nurl = mysql://me:s3cret@host/scores",
        "[database]\nurl = host=one user=me password=s3cret dbname=scores",
        "[database]\nurl = postgresql://me:/s3cret@host/scores",
        "[database]\nurl = postgresql://me:s3cret/host/scores",
        "[database]\nurl = postgresql://me:s3cret:5432/scores",
        "[database]\nurl = postgresql://host/scores?user=me&password=@s3cret",
        "[database]\nurl = postgresql://host/scores?password=not s3cret",
        "[databse]\nurl = host=one password=s3cret",
        "[database]\nuri = postgresql://me:s3cret/host/scores",
        "[database]\nurl = postgresql://me:s3cret@host/scores\n more",
        "[databse]\nurl = postgresql://me:s3cret@host/scores",
        "[database]\npostgresql://me:s3cret@host/scores",
    ],
)
def test_the_password_of_a_database_is_in_no_refusal(load, text: str) -> None:
    with pytest.raises(StartError) as refused:
        load(text)

    assert "s3cret" not in str(refused.value)
    assert "pass word" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql:///scores",
        "postgres://one,two:5433/scores?connect_timeout=3&sslmode=require",
        "postgresql://me@[::1]:5432,[::2]/scores",
        "postgresql://me:s3c%40ret?#@%2Frun%2Fpostgresql/scores",
        "postgresql:///scores?host=/run/postgresql&port=5433",
    ],
)
def test_what_libpq_takes_for_an_address_is_taken(load, url: str) -> None:
    assert load(f"[database]\nurl = {url}").database.url == url


def test_the_address_of_a_database_is_not_in_the_printed_settings(load) -> None:
    settings = load("[database]\nurl = postgresql://me:s3cret@one:5432,two:5432/scores?sslmode=require")

    assert settings.database.url.endswith("one:5432,two:5432/scores?sslmode=require")
    assert "s3cret" not in repr(settings)
