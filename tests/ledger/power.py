"""A disk that writes down its calls, and what a power loss leaves of them.

The model is a journalling file system at its worst: a file's bytes are safe after its fsync, a name after its
directory's; until then each may have reached the disk or not, on its own.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from swarm_ledger.env import Disk

__all__ = ["File", "Model", "Names", "Recorder"]


@dataclass
class File:
    """An inode: its bytes, and whether they are on disk."""

    data: bytes
    synced: bool


class Recorder(Disk):
    """A disk that does everything and writes down the calls on the ledger's own files."""

    def __init__(self, home: str) -> None:
        self.calls: list[tuple[object, ...]] = []
        self._roots = (f"{home}/ledger.git", f"{home}/tmp")

    def _record(self, *call: object) -> None:
        if str(call[1]).startswith(self._roots):  # calls on the queue change nothing that lasts
            self.calls.append(call)

    def create(self, path: str, data: bytes, *, sync: bool = True) -> None:
        super().create(path, data, sync=sync)
        self._record("create", path, File(data, sync))

    def rename(self, source: str, target: str) -> None:
        if os.path.basename(source).startswith("merge-"):  # made by git, which has put its bytes on disk
            self._record("create", source, File(Path(source).read_bytes(), True))
        super().rename(source, target)
        self._record("rename", source, target)

    def link(self, source: str, target: str) -> None:
        super().link(source, target)
        self._record("link", source, target)

    def unlink(self, path: str) -> None:
        super().unlink(path)
        self._record("unlink", path)

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        self._record("sync", path)


@dataclass
class Names:
    """One directory: the names that are on disk for certain, and the changes since, oldest first."""

    durable: dict[str, File] = field(default_factory=dict)
    pending: list[tuple[str, File | None]] = field(default_factory=list)

    def now(self) -> dict[str, File]:
        return self.after(self.pending)

    def after(self, changes: list[tuple[str, File | None]]) -> dict[str, File]:
        out = dict(self.durable)
        for name, file in changes:
            if file is None:
                out.pop(name, None)
            else:
                out[name] = file
        return out


class Model:
    """What may be on the disk after the calls made so far."""

    def __init__(self, root: str) -> None:
        self.directories: dict[str, Names] = {}
        for path in Path(root).rglob("*"):
            if path.is_file():
                names = self.directories.setdefault(str(path.parent), Names())
                names.durable[path.name] = File(path.read_bytes(), True)

    def _at(self, path: str) -> tuple[Names, str]:
        directory, name = os.path.split(path)
        return self.directories.setdefault(directory, Names()), name

    def apply(self, call: tuple[object, ...]) -> None:
        kind, path = str(call[0]), str(call[1])
        if kind == "sync":
            names = self.directories.setdefault(path.rstrip("/"), Names())
            names.durable, names.pending = names.now(), []
            return
        names, name = self._at(path)
        if kind == "create":
            assert isinstance(call[2], File)
            names.pending.append((name, call[2]))
        elif kind == "unlink":
            names.pending.append((name, None))
        else:
            target, target_name = self._at(str(call[2]))
            file = names.now()[name]
            target.pending.append((target_name, file))
            if kind == "rename":
                names.pending.append((name, None))

    def crash(self, how: str, rng: random.Random) -> dict[str, tuple[int, bytes]]:
        """Path → (inode, bytes) after a power loss: "dropped", "kept" (names kept, unsynced bytes torn) or "mixed"."""
        out = {}
        torn: dict[int, bytes] = {}
        for directory, names in self.directories.items():
            pending = {
                "dropped": [],
                "kept": names.pending,
                "mixed": [change for change in names.pending if rng.random() < 0.5],
            }[how]
            for name, file in names.after(pending).items():
                if id(file) not in torn:
                    torn[id(file)] = file.data if file.synced else file.data[: rng.randrange(len(file.data) + 1)]
                out[f"{directory}/{name}"] = (id(file), torn[id(file)])
        return out
