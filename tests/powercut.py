"""Cuts the power of a server, in a model of its disk.

strace records what a server under load asks of the system: writes, syncs, names made and removed, and each "200"
that it sends. From that, the files are rebuilt as they could be on disk at any point. The rules of the model:

- What was written is on disk for sure once a sync of its file has returned that began after the write. Before that
  each write may be there, be missing, or be torn: any of its 512-byte sectors may be there.
- A name that was made or removed is so for sure once a sync of its folder has returned. Before that the folder may
  look as after any one of its changes, in their order.
- A score is acknowledged as soon as the server begins to send its 200.
- The shared memory (-shm) is gone, as after every start of a machine.
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from scoresvc.sqlite import sqlite3
from tests.running import Server

DATABASE = "scores.sqlite3"
FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-journal")
SECTOR = 512  # bytes that a disk writes whole
LUCK = (0.0, 0.1, 0.5, 0.9, 1.0)  # shares of the unsynced writes that reach the disk
CLIENTS = 6
LEVELS = 2000
TRACE_WAIT = 20.0  # seconds for strace to write its last line

RECEIVING = ("recvfrom", "read", "recvmsg")
SENDING = ("sendto", "write", "writev", "sendmsg")
CHANGING = ("pwrite64", "ftruncate", "unlink", "openat")
SYNCING = ("fsync", "fdatasync")
NOT_MODELLED = ("pwritev", "fallocate", "sync_file_range", "rename", "renameat", "renameat2", "unlinkat")
TRACED = (*RECEIVING, *SENDING, *CHANGING, *SYNCING, *NOT_MODELLED)
DATA_MAX = 70_000  # bytes of one call that are recorded
STRACE = (
    *("strace", "-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", str(DATA_MAX)),
    *("-e", f"trace={','.join(TRACED)}", "-o"),
)

STRING = re.compile(r'"([^"]*)"(\.\.\.)?')
DESCRIPTOR = re.compile(r"\d+<([^>]*)>(\(deleted\))?")
SCORE_POST = re.compile(rb"POST /(\d+)/score\?sessionkey=(\w+) .*\r\n\r\n(\d+)$", re.DOTALL)


class Call(NamedTuple):
    """A system call; `began` and `ended` are lines of the trace."""

    began: int
    ended: int  # after the last line, where the process died in the call
    name: str
    arguments: str
    result: int | None  # negative where it failed; None where the process died in it

    @property
    def target(self) -> str:
        """The path or socket of its descriptor; empty where that is deleted."""
        found = DESCRIPTOR.match(self.arguments)
        return _unhex(found[1]) if found and not found[2] else ""

    @property
    def data(self) -> bytes:
        strings = STRING.findall(self.arguments)
        assert not any(cut for _, cut in strings), f"{self.name}: longer than {DATA_MAX} bytes"
        return b"".join(bytes.fromhex(text.replace("\\x", "")) for text, _ in strings)

    @property
    def last_number(self) -> int:
        return int(self.arguments.rpartition(", ")[2])


def _unhex(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode()


def read_calls(trace: Path) -> list[Call]:
    """Returns the calls of a trace in the order of their beginnings."""
    calls: list[Call] = []
    unfinished: dict[str, tuple[int, str]] = {}
    with trace.open() as lines:
        for number, line in enumerate(lines):
            process, _, text = line.rstrip("\n").partition(" ")
            text = text.lstrip()
            if text.endswith(" <unfinished ...>"):
                unfinished[process] = number, text.removesuffix(" <unfinished ...>")
                continue
            began = number
            if text.startswith("<... "):
                began, beginning = unfinished.pop(process)
                text = beginning + text.partition(" resumed>")[2]
            if text[0] not in "+-":
                calls.append(_parse(began, number, text))
    calls += [_parse(began, number + 1, f"{text}) = ?") for began, text in unfinished.values()]
    return sorted(calls)


def _parse(began: int, ended: int, text: str) -> Call:
    name, _, rest = text.partition("(")
    arguments, _, result = rest.rpartition(" = ")
    arguments = arguments.rstrip().removesuffix(")")
    if name == "openat":
        arguments = f"{result} {arguments}"
    number = re.match(r"-?\d+", result)
    return Call(began, ended, name, arguments, int(number[0]) if number else None)


class Change(NamedTuple):
    """A write, or a new length of a file."""

    ended: int  # line of the trace
    offset: int
    data: bytes | None  # None: the file ends at `offset`

    def apply(self, content: bytearray) -> None:
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        if self.data is None:
            del content[self.offset :]
        else:
            content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> Iterator[Change]:
        assert self.data is not None
        end = self.offset + len(self.data)
        while self.offset < end:
            sector_end = min(end, (self.offset // SECTOR + 1) * SECTOR)
            yield Change(self.ended, self.offset, self.data[: sector_end - self.offset])
            self = self._replace(offset=sector_end, data=self.data[sector_end - self.offset :])


class File:
    """What is surely on disk of a file, with the changes that may be."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.unsynced: list[Change] = []

    def sync(self, began: int) -> None:
        for change in self.unsynced:
            if change.ended < began:
                change.apply(self.synced)
        self.unsynced = [change for change in self.unsynced if change.ended >= began]

    def after_cut(self, chance: random.Random, luck: float) -> bytes:
        content = bytearray(self.synced)
        for change in self.unsynced:
            for part in _reaching_the_disk(change, chance, luck):
                part.apply(content)
        return bytes(content)


def _reaching_the_disk(change: Change, chance: random.Random, luck: float) -> list[Change]:
    if change.data is not None and chance.random() < 0.2:
        return [sector for sector in change.sectors() if chance.random() < 0.5]
    return [change] if chance.random() < luck else []


class Disk:
    """The database's folder as it may be on disk while the calls of a trace go by."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._files: dict[str, File] = {}  # as the processes see them
        self._synced_names: dict[str, File] = {}
        self._unsynced_names: list[tuple[int, dict[str, File]]] = []  # after each change, with its line
        self.checkpoints = 0  # rounds of writes to the database itself

    def begin(self, call: Call) -> None:
        """What may have an effect from its beginning on."""
        if call.result is not None and call.result < 0:
            return
        if call.name == "unlink":
            name = self._name(call.data.decode())
            if name in self._files:
                self._rename(call, {other: file for other, file in self._files.items() if other != name})
            return
        name = self._name(call.target)
        if name not in FILES:
            return
        assert call.name not in (*NOT_MODELLED, *SENDING), f"{call.name} of {name} is not modelled"
        if call.name == "openat" and name not in self._files and "O_CREAT" in call.arguments:
            self._rename(call, {**self._files, name: File()})
        elif call.name == "pwrite64":
            self._files[name].unsynced.append(Change(call.ended, call.last_number, call.data[: call.result]))
        elif call.name == "ftruncate":
            self._files[name].unsynced.append(Change(call.ended, call.last_number, None))

    def end(self, call: Call) -> None:
        """What counts only when it is done: a sync."""
        if call.name not in SYNCING or call.result != 0:
            return
        if call.target == self._folder:
            for ended, names in self._unsynced_names:
                if ended < call.began:
                    self._synced_names = names
            self._unsynced_names = [(ended, names) for ended, names in self._unsynced_names if ended >= call.began]
        elif (name := self._name(call.target)) in self._files:
            self.checkpoints += name == DATABASE
            self._files[name].sync(call.began)

    def _name(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return name if folder == self._folder else ""

    def _rename(self, call: Call, names: dict[str, File]) -> None:
        self._files = names
        self._unsynced_names.append((call.ended, names))

    def has_unsynced_writes(self) -> bool:
        return any(file.unsynced for file in self._files.values())

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Returns the files as they could be after a power cut now."""
        luck = chance.choice(LUCK)
        names = [self._synced_names, *(names for _, names in self._unsynced_names)]
        files = names[round(luck * (len(names) - 1))]
        return {name: file.after_cut(chance, luck) for name, file in files.items()}


class Acknowledged:
    """The best score of each user on each level for which a 200 has been sent."""

    def __init__(self, users: dict[str, int]) -> None:
        self._users = users  # by session key
        self._requests: dict[str, bytes] = {}  # by socket
        self.best: dict[tuple[int, int], int] = {}  # by level and user
        self.count = 0

    def begin(self, call: Call) -> None:
        if call.name not in SENDING or not call.target.startswith("socket:"):
            return
        request = self._requests.pop(call.target, b"")
        post = SCORE_POST.match(request)
        if post and call.data.startswith(b"HTTP/1.1 200"):
            place = int(post[1]), self._users[post[2].decode()]
            self.best[place] = max(int(post[3]), self.best.get(place, 0))
            self.count += 1

    def end(self, call: Call) -> None:
        if call.name in RECEIVING and call.result and call.result > 0 and call.target.startswith("socket:"):
            self._requests[call.target] = self._requests.get(call.target, b"") + call.data


class Recording(NamedTuple):
    folder: Path  # of the database
    calls: list[Call]
    users: dict[str, int]  # by session key
    acknowledged: int  # as the clients counted


class Outcome(NamedTuple):
    cuts: int
    acknowledged: int
    unsynced: int  # cuts with writes that were not synced
    losing: int  # cuts after which an acknowledged score was missing
    lost: int  # scores, at the worst of them
    corrupt: int  # cuts after which the database was not whole
    checkpoints: int

    def __str__(self) -> str:
        return (
            f"{self.cuts} cuts, {self.unsynced} with unsynced writes, in {self.acknowledged} acknowledged scores and"
            f" {self.checkpoints} syncs of the database file: {self.losing} lost scores ({self.lost} at the worst),"
            f" {self.corrupt} left the database corrupt"
        )


def record(folder: Path, posts: int, durability: str, flags: Sequence[str] = ()) -> Recording:
    """Runs a server in an empty folder until so many posts are acknowledged, then kills it; returns its calls."""
    (folder / "config.ini").write_text(f"[database]\ndurability = {durability}\n")
    trace = folder / "trace"
    with Server(folder, *flags, within=(*STRACE, str(trace))) as server:
        clients = [Client(server, user) for user in range(CLIENTS)]
        threads = [threading.Thread(target=client.post, args=(posts // CLIENTS,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        process = str(server.process.pid)
        server.kill()
    _wait_for_end(trace, process)
    users = {client.key: client.user for client in clients}
    return Recording(folder, read_calls(trace), users, sum(client.acknowledged for client in clients))


class Client:
    """Posts random scores, each request in one segment, so that it is one call of the trace."""

    def __init__(self, server: Server, user: int) -> None:
        self.user = user
        self.acknowledged = 0
        self._port = server.port
        _, self.key = server.call("GET", f"/{user}/login")

    def post(self, count: int) -> None:
        chance = random.Random(self.user)
        with closing(socket.create_connection(("127.0.0.1", self._port), 15)) as connection:
            for _ in range(count):
                score = str(chance.randrange(2**31))
                head = f"POST /{chance.randrange(LEVELS)}/score?sessionkey={self.key} HTTP/1.1\r\nHost: x\r\n"
                connection.sendall(f"{head}Content-Length: {len(score)}\r\n\r\n{score}".encode())
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
                self.acknowledged += response.status == 200


def _wait_for_end(trace: Path, process: str) -> None:
    until = time.monotonic() + TRACE_WAIT
    end = re.compile(rf"^{process} +\+\+\+ .*\+\+\+$", re.MULTILINE)
    while not end.search(trace.read_bytes()[-4000:].decode()):
        assert time.monotonic() < until, "strace does not end"
        time.sleep(0.05)


def cut_power(recording: Recording, cuts: int, seed: int, work: Path) -> Outcome:
    """Cuts the power at so many points of a recording and looks at what is left, in the folder `work`."""
    chance = random.Random(seed)
    moments = sorted(
        [(call.began, 0, call) for call in recording.calls] + [(call.ended, 1, call) for call in recording.calls]
    )
    points = {chance.randrange(len(moments)) for _ in range(cuts)}
    disk, acknowledged = Disk(recording.folder), Acknowledged(recording.users)
    unsynced = losing = lost = corrupt = 0
    for number, (_, ending, call) in enumerate(moments):
        for side in (disk, acknowledged):
            (side.end if ending else side.begin)(call)
        if number not in points:
            continue
        unsynced += disk.has_unsynced_writes()
        missing = _look(disk.after_cut(chance), acknowledged.best, work)
        corrupt += missing is None
        losing += bool(missing)
        lost = max(lost, missing or 0)
    assert acknowledged.count == recording.acknowledged, "the trace tells of other answers than the clients"
    return Outcome(len(points), acknowledged.count, unsynced, losing, lost, corrupt, disk.checkpoints)


def _look(files: dict[str, bytes], acknowledged: dict[tuple[int, int], int], work: Path) -> int | None:
    """Returns how many acknowledged scores are missing; None where the database is corrupt."""
    for name in (*FILES, f"{DATABASE}-shm"):
        (work / name).unlink(missing_ok=True)
    for name, content in files.items():
        (work / name).write_bytes(content)
    with closing(sqlite3.connect(work / DATABASE)) as connection:
        try:
            connection.execute("PRAGMA synchronous = OFF")
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return None
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'scores'").fetchall()
            rows = connection.execute("SELECT level_id, user_id, score FROM scores").fetchall() if tables else []
        except sqlite3.DatabaseError:
            return None
    kept: dict[tuple[int, int], int] = {(level, user): score for level, user, score in rows}
    return sum(kept.get(place, -1) < score for place, score in acknowledged.items())


def main() -> int:
    """Prints the outcome for both durabilities; returns 1 where a promise is broken, or the model is blind."""
    parser = argparse.ArgumentParser(prog="python -m tests.powercut", description="Cut the power of a server.")
    parser.add_argument("--cuts", type=int, default=2000, help="cut points of each recording")
    parser.add_argument("--posts", type=int, default=4000, help="acknowledged posts of each recording")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="for scoresvc serve, behind a --")
    options = parser.parse_args()
    outcomes = {}
    for durability in ("full", "process"):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as work:
            recording = record(Path(folder).resolve(), options.posts, durability, options.flags)
            outcomes[durability] = cut_power(recording, options.cuts, options.seed, Path(work))
        print(f"durability = {durability}: {outcomes[durability]}", flush=True)
    full, process = outcomes["full"], outcomes["process"]
    return 1 if full.losing or full.corrupt or process.corrupt or not process.losing else 0


if __name__ == "__main__":
    sys.exit(main())
