"""What strace records of a server: the system calls with their data, in the order in which they began."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

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
