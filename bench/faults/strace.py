"""A process watched from outside, system call by system call, with strace.

Sees whatever the process and its children do, native code included. What it cannot see (memory mappings, file ranges
copied by the kernel) shows when the model of the disk and the disk differ in the end.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from bench.faults.calls import Call, Kind
from lake.errors import MissingToolError

_FILES = ["open", "openat", "creat", "write", "writev", "pwrite64", "fsync", "fdatasync", "ftruncate", "truncate"]
_NAMES = ["rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"]
_TOLD = ["sendto", "sendmsg"]
# Longer than anything that is written at once.
_LONGEST_BYTES = 64 * 1024 * 1024
_LINE = re.compile(r"(\d+) +(.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(.*)", re.DOTALL)
_HEX = r"((?:\\x[0-9a-f]{2})*)"
_TEXT = re.compile(rf'"{_HEX}"')
_OPENED = re.compile(rf"(?:AT_FDCWD|-?\d+)<{_HEX}>")
# A directory's descriptor, where there is one, and the name in it.
_NAME = re.compile(rf'(?:(?:AT_FDCWD|-?\d+)<{_HEX}>, )?"{_HEX}"')
_OTHERS = (b"socket:", b"pipe:", b"UNIX")


def find_strace() -> str:
    """The program.

    Raises:
        MissingToolError: It is not installed.
    """
    found = shutil.which("strace")
    if found is None:
        raise MissingToolError("watching system calls needs strace", mend="apt-get install strace")
    return found


def watched(command: Sequence[str], trace: Path) -> list[str]:
    """A command that runs `command` and writes what it and its children call to `trace`."""
    calls = ",".join(f"?{name}" for name in (*_FILES, *_NAMES, *_TOLD))
    options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", str(_LONGEST_BYTES), "-o", str(trace), "-e", f"trace={calls}"]
    return [find_strace(), *options, *command]


def read_trace(trace: Path, root: Path) -> list[Call]:
    """The calls below `root`, and all that was told, in the order in which they returned.

    What is told counts from when its call began: it may have arrived by the time the call returns.
    """
    calls: list[Call | None] = []
    begun: dict[str, tuple[str, int]] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            process, text = _split(line)
            if text.endswith(_UNFINISHED):
                text = text.removesuffix(_UNFINISHED)
                begun[process] = (text, len(calls))
                calls.append(_begun(text, root, len(calls)))
                continue
            place: int | None = None
            if resumed := _RESUMED.fullmatch(text):
                text, place = begun.pop(process)
                text += resumed[1]
            for call in _read(text, root, len(calls) if place is None else place):
                if place is not None and call.kind is Kind.SYNC_BEGIN:
                    continue
                if place is not None and call.kind is Kind.TELL:
                    calls[place] = call
                else:
                    calls.append(call)
    return [call for call in calls if call is not None]


def _split(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line.rstrip("\n"))
    if found is None:
        raise ValueError(f"not a line of strace: {line[:100]!r}")
    return found[1], found[2]


def _begun(text: str, root: Path, number: int) -> Call | None:
    """What a call that has not returned yet has done for certain: a sync covers what was there when it began."""
    name, _, arguments = text.partition("(")
    path = _below(_opened(arguments), root) if name in ("fsync", "fdatasync") else None
    return None if path is None else Call(Kind.SYNC_BEGIN, path, at=number)


def _read(text: str, root: Path, number: int) -> Iterator[Call]:
    found = _CALL.fullmatch(text)
    if found is None or int(found[3]) < 0:
        return
    name, arguments, returned = found[1], found[2], int(found[3])
    if name in _NAMES:
        yield from _names(name, arguments, root)
    elif name in ("open", "openat", "creat"):
        yield from _opening(name, arguments, root)
    elif name == "truncate":
        path = _below(_paths(arguments)[0], root)
        if path is not None:
            yield Call(Kind.TRUNCATE, path, at=int(arguments.rpartition(",")[2]))
    else:
        yield from _on_descriptor(name, arguments, returned, root, number)


def _names(name: str, arguments: str, root: Path) -> Iterator[Call]:
    found = [_below(path, root) for path in _paths(arguments)]
    paths = [path for path in found if path is not None]
    kind = Kind(name.rstrip("2").removesuffix("at"))
    if kind is Kind.UNLINK and "AT_REMOVEDIR" in arguments:
        kind = Kind.RMDIR
    if not paths:
        return
    if len(paths) < len(found):
        raise ValueError(f"{name} across the border of {root} is not modelled")
    yield Call(kind, paths[0], "".join(paths[1:]))


def _opening(name: str, arguments: str, root: Path) -> Iterator[Call]:
    path = _below(_paths(arguments)[0], root)
    if path is None:
        return
    if name == "creat" or "O_CREAT" in arguments:
        yield Call(Kind.CREATE, path)
    if name == "creat" or "O_TRUNC" in arguments:
        yield Call(Kind.TRUNCATE, path, at=0)


def _on_descriptor(name: str, arguments: str, returned: int, root: Path, number: int) -> Iterator[Call]:
    opened = _opened(arguments)
    path = _below(opened, root)
    if path is None:
        if opened.startswith(_OTHERS) and name in ("write", "writev", *_TOLD):
            yield Call(Kind.TELL, opened.decode(), content=_content(arguments)[:returned])
    elif name in ("fsync", "fdatasync"):
        yield Call(Kind.SYNC_BEGIN, path, at=number)
        yield Call(Kind.SYNC, path, at=number)
    elif name == "ftruncate":
        yield Call(Kind.TRUNCATE, path, at=int(arguments.rpartition(",")[2]))
    else:
        at = int(arguments.rpartition(",")[2]) if name == "pwrite64" else -1
        yield Call(Kind.WRITE, path, content=_content(arguments)[:returned], at=at)


def _paths(arguments: str) -> list[bytes]:
    found = []
    for match in _NAME.finditer(arguments):
        directory, name = _bytes(match[1] or ""), _bytes(match[2])
        found.append(name if name.startswith(b"/") else directory + b"/" + name)
    return found


def _opened(arguments: str) -> bytes:
    found = _OPENED.match(arguments)
    return _bytes(found[1]) if found else b""


def _content(arguments: str) -> bytes:
    """What is written: one text, or those of a vector."""
    return b"".join(_bytes(match[1]) for match in _TEXT.finditer(arguments))


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _below(path: bytes, root: Path) -> str | None:
    """A path relative to `root`; None when it lies elsewhere."""
    given = PurePosixPath(path.decode(errors="surrogateescape"))
    return str(given.relative_to(root)) if given.is_relative_to(root) else None
