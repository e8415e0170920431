"""A disk as POSIX promises it: what outlasts a power cut is what a sync covered, and anything else may or may not.

Bytes of a file outlast as far as fsync of the file covered them, names as far as fsync of their directory did
(POSIX.1-2017 fsync; Linux fsync(2)). A sync covers what was there when it began. File systems keep more than that most
of the time, which is why mistakes here stay unseen until the day it matters; Pillai et al., "All File Systems Are Not
Created Equal" (OSDI 2014), found them the same way: by replaying traces against such a model.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bench.faults.calls import Call, Kind


class Loss(StrEnum):
    """What a power cut does with what was not synced."""

    EVERYTHING = "names and bytes gone"
    BYTES = "names there, bytes gone"
    ZEROS = "names there, bytes zero"
    RANDOM = "random names and bytes gone"


@dataclass(slots=True, eq=False)
class _File:
    content: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    kept_since: int = -1


@dataclass(slots=True, eq=False)
class _Folder:
    names: dict[str, _Node] = field(default_factory=dict)
    kept: dict[str, _Node] = field(default_factory=dict)
    kept_since: int = -1
    # What each name stood for at any time since it was kept.
    since: dict[str, list[_Node | None]] = field(default_factory=dict)

    def put(self, name: str, node: _Node | None) -> None:
        if node is None:
            del self.names[name]
        else:
            self.names[name] = node
        self.since.setdefault(name, []).append(node)


_Node = _File | _Folder
# Path to content; None for a directory.
Image = dict[str, bytes | None]
_Chosen = tuple[Callable[[_Folder], dict[str, _Node]], Callable[[_File], bytes]]


class Disk:
    """One directory of a disk; what is there at first has been there for long.

    Args:
        root: The directory as it is before the first call.
    """

    def __init__(self, root: Path) -> None:
        self._root = _Folder()
        self._syncs: dict[int, tuple[_Node, bytes | dict[str, _Node]]] = {}
        for path in sorted(root.rglob("*")):
            folder, name = self._place(str(path.relative_to(root)))
            content = b"" if path.is_dir() else path.read_bytes()
            node = _Folder() if path.is_dir() else _File(bytearray(content), content)
            folder.names[name] = folder.kept[name] = node

    def apply(self, call: Call) -> None:
        """Carry out a call."""
        if call.kind is Kind.SYNC_BEGIN:
            node = self._node(call.path)
            self._syncs[call.at] = (node, bytes(node.content) if isinstance(node, _File) else dict(node.names))
        elif call.kind is Kind.SYNC:
            self._sync(*self._syncs.pop(call.at), call.at)
        elif call.kind in (Kind.WRITE, Kind.TRUNCATE):
            self._change_bytes(call)
        elif call.kind is not Kind.TELL:
            self._change_names(call)

    def processes_are_killed(self) -> None:
        """Syncs under way count for nothing; what is not synced stays in memory. Numbers of syncs begin anew."""
        self._syncs.clear()
        waiting: list[_Node] = [self._root]
        while waiting:
            node = waiting.pop()
            node.kept_since = -1
            if isinstance(node, _Folder):
                waiting += [*node.names.values(), *node.kept.values()]

    def image(self, loss: Loss | None = None, seed: int = 0) -> Image:
        """What is on it when the power comes back; without a loss, what a living system sees."""
        found: Image = {}
        _walk(self._root, "", _choices(loss, random.Random(seed)), found)
        return found

    def _sync(self, node: _Node, there: bytes | dict[str, _Node], since: int) -> None:
        if since < node.kept_since:
            # One that began later has ended already.
            return
        node.kept_since = since
        if isinstance(node, _File):
            assert isinstance(there, bytes)
            node.kept = there
        else:
            assert isinstance(there, dict)
            node.kept = there
            node.since = {
                name: [node.names.get(name)]
                for name in {*there, *node.names}
                if there.get(name) is not node.names.get(name)
            }

    def _change_bytes(self, call: Call) -> None:
        file = self._node(call.path)
        assert isinstance(file, _File), f"{call.path} is a directory"
        if call.kind is Kind.TRUNCATE:
            del file.content[call.at :]
            file.content.extend(bytes(call.at - len(file.content)))
            return
        at = len(file.content) if call.at < 0 else call.at
        file.content.extend(bytes(max(0, at - len(file.content))))
        file.content[at : at + len(call.content)] = call.content

    def _change_names(self, call: Call) -> None:
        folder, name = self._place(call.path)
        match call.kind:
            case Kind.CREATE:
                if name not in folder.names:
                    folder.put(name, _File())
            case Kind.MKDIR:
                folder.put(name, _Folder())
            case Kind.UNLINK | Kind.RMDIR:
                folder.put(name, None)
            case Kind.LINK | Kind.RENAME:
                node = folder.names[name]
                target, new = self._place(call.target)
                target.put(new, node)
                if call.kind is Kind.RENAME:
                    folder.put(name, None)

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder, _, name = path.rpartition("/")
        node = self._node(folder)
        assert isinstance(node, _Folder), f"{folder} is a file"
        return node, name

    def _node(self, path: str) -> _Node:
        node: _Node = self._root
        for part in path.split("/"):
            if part not in ("", "."):
                assert isinstance(node, _Folder), f"{path} leads through a file"
                node = node.names[part]
        return node


def _walk(folder: _Folder, prefix: str, chosen: _Chosen, found: Image) -> None:
    names, content = chosen
    for name, node in sorted(names(folder).items()):
        if isinstance(node, _File):
            found[prefix + name] = content(node)
        else:
            found[prefix + name] = None
            _walk(node, f"{prefix}{name}/", chosen, found)


def _choices(loss: Loss | None, chance: random.Random) -> _Chosen:
    match loss:
        case None:
            return (lambda folder: folder.names), (lambda file: bytes(file.content))
        case Loss.EVERYTHING:
            return (lambda folder: folder.kept), (lambda file: file.kept)
        case Loss.BYTES:
            return (lambda folder: folder.names), (lambda file: file.kept)
        case Loss.ZEROS:
            return (lambda folder: folder.names), _with_zeros
        case Loss.RANDOM:
            return (lambda folder: _some_names(folder, chance)), (lambda file: _some_bytes(file, chance))


def _with_zeros(file: _File) -> bytes:
    """The length outlasts, the bytes do not (delayed allocation)."""
    return file.kept.ljust(len(file.content), b"\0")


def _some_names(folder: _Folder, chance: random.Random) -> dict[str, _Node]:
    names = dict(folder.kept)
    for name, values in sorted(folder.since.items()):
        node = chance.choice([folder.kept.get(name), *values])
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
    return names


def _some_bytes(file: _File, chance: random.Random) -> bytes:
    content = bytes(file.content)
    if not content.startswith(file.kept):
        return chance.choice((file.kept, content))
    if len(content) == len(file.kept):
        return content
    some = content[: chance.randint(len(file.kept), len(content))]
    return some.ljust(len(content), b"\0") if chance.random() < 1 / 2 else some


def write_image(image: Image, root: Path) -> None:
    """Put an image into a new directory."""
    root.mkdir(parents=True)
    for path, content in image.items():
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def read_image(root: Path) -> Image:
    """A directory as it is."""
    return {str(p.relative_to(root)): None if p.is_dir() else p.read_bytes() for p in sorted(root.rglob("*"))}
