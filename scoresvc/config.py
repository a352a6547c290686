"""The options: each is declared here, once; `config.ini` and the command line set them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from scoresvc.levels import LevelOptions
from scoresvc.limits import CONNECTIONS_MAX
from scoresvc.option_kinds import (
    File,
    FileOrNone,
    FolderOrNone,
    Frames,
    Host,
    Networks,
    OneOf,
    Option,
    Origins,
    PostgresUrl,
    RateKind,
    Whole,
    YesNo,
    option,
)
from scoresvc.rate_limits import Rate

LOGINS = ("anyone", "claimed", "server")


@dataclass(frozen=True)
class ServerOptions:
    host: str = option(
        "127.0.0.1",
        Host(),
        "Address of HTTP. 127.0.0.1: this machine alone. Before 0.0.0.0 or :: think of what stands in front: there is"
        " no TLS here, and with [users] logins = anyone, anyone may log in as any user that has no secret.",
        "--host",
    )
    port: int = option(8080, Whole(0, 65535), "TCP port of HTTP; 0 takes a free one.", "-p", "--port")
    threads: int = option(
        8,
        Whole(1, 256),
        "Threads that answer, in each process, the requests for much at once; an event loop answers all others.",
        "--threads",
    )
    processes: int = option(
        1,
        Whole(1, 64),
        "Processes that share the ports; with more than one, a process of its own writes for them all.",
        "--processes",
    )
    connections_max: int = option(
        CONNECTIONS_MAX, Whole(1, 1_000_000), "Connections at once, in each process; one more gets a 503."
    )
    connections_per_address: int = option(
        0,
        Whole(0, 1_000_000),
        "Connections of one address at once, in each process; 0: any number. To be left at 0 behind a proxy, whose"
        " address all players have.",
    )


@dataclass(frozen=True)
class HttpOptions:
    origins: tuple[str, ...] = option(
        ("*",),
        Origins(),
        "Whose web pages may use the service from a browser. *: all, which gives away nothing that anyone could not ask"
        " for without a browser; null is that of a sandboxed frame.",
    )
    get_posts: bool = option(
        False,
        YesNo(),
        "Whether GET /<levelid>/score/<score>?sessionkey=... posts, for engines that know only GET. Proxies and"
        " browsers may repeat a GET, and write it into logs with its key.",
    )
    proxies: tuple[str, ...] = option(
        (),
        Networks(),
        "The proxies in front, whose X-Forwarded-For or Forwarded is believed. Without them what comes through a proxy"
        " is not limited by address.",
    )


@dataclass(frozen=True)
class LimitOptions:
    posts_per_user: Rate = option(Rate(0, 0), RateKind(), "Posts of a user.")
    posts_per_address: Rate = option(
        Rate(0, 0),
        RateKind(),
        "Posts from an address; an IPv6 address counts as its /64. All limits are counted by each process for itself:"
        " with several, up to as many times as much gets through.",
    )
    logins_per_address: Rate = option(Rate(0, 0), RateKind(), "Logins from an address.")
    new_per_address: Rate = option(Rate(10, 3600), RateKind(), "New users, of POST /new, from an address.")
    wrong_keys_per_address: Rate = option(
        Rate(20, 60),
        RateKind(),
        "Wrong session keys, secrets and tokens from an address. A right one is never refused.",
    )


@dataclass(frozen=True)
class DatabaseOptions:
    path: Path = option(
        Path("scores.sqlite3"),
        File(),
        "The SQLite database, created at the first start; -wal, -shm, .lock, .changes and .metrics stand beside it.",
        "--database",
    )
    durability: str = option(
        "full",
        OneOf(("full", "process")),
        "What an acknowledged score survives. full: a power cut. process: the death of the process only; faster on slow"
        " disks, but a power cut loses the last seconds.",
    )
    url: str = option(
        "",
        PostgresUrl(),
        "The PostgreSQL database, instead of path, for any number of machines. Several hosts with commas between them:"
        " the one that takes writes is found. Without a password here, that of PGPASSWORD or ~/.pgpass is taken.",
    )
    connections: int = option(
        12,
        Whole(4, 1000),
        "Connections of each process with PostgreSQL, at most; the server's max_connections is for all.",
    )
    prepare: bool = option(
        True,
        YesNo(),
        "Whether PostgreSQL prepares the statements, which makes them faster. no: a pooler in transaction mode, such as"
        " PgBouncer, stands between.",
    )


@dataclass(frozen=True)
class SessionOptions:
    lifetime: int = option(600, Whole(1, 10**9, "seconds"), "How long a session key is valid, from the login on.")
    one_per_user: bool = option(
        False, YesNo(), "Whether a login ends the user's earlier sessions.", "--one-session-per-user"
    )
    per_user: int = option(
        20, Whole(1, 1_000_000), "Sessions that a user may have at once; a login beyond them ends the oldest one."
    )

    @property
    def sessions_max(self) -> int:
        """Of a user."""
        return 1 if self.one_per_user else self.per_user


@dataclass(frozen=True)
class UserOptions:
    logins: str = option(
        "anyone",
        OneOf(LOGINS),
        "Who may log in. anyone: a number without a secret as it is, which anybody may use. claimed: only users with a"
        " secret, from POST /new. server: only whom the game's own server logs in, with POST /admin/login.",
    )
    blocked_names: Path | None = option(
        None,
        FileOrNone(),
        "A file of words that names must not have, one a line; *word* is refused in other words, too. Read at the"
        " start.",
    )
    unique_names: bool = option(
        False,
        YesNo(),
        "Whether no two users may have the same name, or names that look alike: case, accents and width count for"
        " nothing.",
    )


@dataclass(frozen=True)
class TcpOptions:
    enabled: bool = option(False, YesNo(), "Whether `scoresvc serve` speaks JSON over TCP, too.")
    host: str = option("127.0.0.1", Host(), "Address of JSON over TCP. There is no TLS either, see [server] host.")
    port: int = option(12000, Whole(0, 65535), "TCP port of JSON over TCP; 0 takes a free one.", "--tcp-port")
    frame_bytes_max: int = option(65536, Whole(64, 2**24, "bytes"), "The longest request.")
    timeout: int = option(10, Whole(1, 3600, "seconds"), "How long a request may take to arrive in all.")
    connections_max: int = option(500, Whole(1, 100_000), "Connections at once, in each process; one more gets a 503.")
    connections_per_address: int = option(
        0, Whole(0, 100_000), "Connections of one address at once, in each process; 0: any number."
    )


@dataclass(frozen=True)
class LogOptions:
    file: Path | None = option(
        None,
        FileOrNone(),
        "The file of the log; nothing: standard error. A new file begins every 10 MiB, the last five are kept.",
        "--logfile",
    )
    level: str = option(
        "info",
        OneOf(("debug", "info", "warning", "error", "critical")),
        "What is logged; info and debug include every request.",
    )


@dataclass(frozen=True)
class MetricsOptions:
    public: bool = option(
        False,
        YesNo(),
        "Whether anyone may read GET /metrics: no user and no level is in them, but how much is played.",
    )


@dataclass(frozen=True)
class PageOptions:
    frames: tuple[str, ...] = option(
        ("*",),
        Frames(),
        "Which sites may show the page of a board in a frame. *: all, which gives away nothing: the page has no buttons"
        " that do anything for who looks at it.",
    )
    admin: bool = option(
        True,
        YesNo(),
        "Whether there is a page for operators at /admin. It does nothing without a token, nor is it in any frame.",
    )


@dataclass(frozen=True)
class BackupOptions:
    folder: Path | None = option(
        None,
        FolderOrNone(),
        "Where a service backs up the database by itself, which is SQLite's; nothing: it does not. A folder on another"
        " disk survives more. It is made where there is none.",
    )
    every: int = option(86400, Whole(1, 10**9, "seconds"), "How old the newest backup there may be.")
    keep: int = option(
        7, Whole(1, 1_000_000), "How many backups are kept there; older ones are deleted after a new one."
    )


@dataclass(frozen=True)
class HistoryOptions:
    keep: bool = option(
        True,
        YesNo(),
        "Whether every accepted post is kept, so that what a removed score had replaced can stand again.",
    )
    days: int = option(
        0, Whole(0, 1_000_000, "days"), "How long a submission is kept that stands on no board; 0: for ever."
    )
    tell_held: bool = option(
        False, YesNo(), "Whether a player learns that a score is held; no: the answer looks as if it counted."
    )


@dataclass(frozen=True)
class Config:
    """All options."""

    server: ServerOptions = ServerOptions()
    http: HttpOptions = HttpOptions()
    database: DatabaseOptions = DatabaseOptions()
    sessions: SessionOptions = SessionOptions()
    users: UserOptions = UserOptions()
    tcp: TcpOptions = TcpOptions()
    levels: LevelOptions = LevelOptions()
    history: HistoryOptions = HistoryOptions()
    limits: LimitOptions = LimitOptions()
    pages: PageOptions = PageOptions()
    metrics: MetricsOptions = MetricsOptions()
    backup: BackupOptions = BackupOptions()
    log: LogOptions = LogOptions()

    def is_on(self, option: str) -> bool:
        """Returns the value of a switch, such as "http.get_posts"."""
        section, _, name = option.partition(".")
        return bool(getattr(getattr(self, section), name))


SECTIONS: dict[str, type] = {each.name: type(each.default) for each in fields(Config)}


def options_of(section: str) -> dict[str, Option]:
    """Returns the declarations of a section's options by name."""
    return {each.name: each.metadata["option"] for each in fields(SECTIONS[section])}
