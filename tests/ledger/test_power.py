"""Power loss: every prefix of the recorded file-system calls, with what was not synced dropped, kept or torn.

The model is a journalling file system at its worst: a file's bytes are safe after its fsync, a name after its
directory's; until then each may have reached the disk or not, on its own.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swarm_ledger.env import Disk, Env
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore
from swarm_ledger.store import Put, Request


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


def record(
    home: str, batches: int, make_request: Callable[..., Request]
) -> tuple[Model, Recorder, dict[int, list[str]]]:
    """Run the real leader over `batches` batches; {number of calls made: requests acknowledged by then}."""
    model = Model(f"{home}/ledger.git")
    disk = Recorder(home)
    acks: dict[int, list[str]] = {}
    taken: list[str] = []

    def point(at: str) -> None:
        if at == "taken":
            taken[:] = [name.split(".")[1] for name in os.listdir(f"{home}/queue/taken")]
        if at == "answered":
            acks[len(disk.calls)] = list(taken)

    store = GitStore(home, Env(disk=disk, rng=random.Random(3), point=point))
    rng = random.Random(4)
    for number in range(batches):
        for extra in range(rng.randrange(4)):  # others' requests, so that batches hold several
            request = make_request(Put("e", f"facts/{number % 5}/{number}-{extra}.md", b"e%d" % number, None))
            store._spool.put(request, f"{number:012d}{extra:04d}")
        store.submit(make_request(Put("o", f"facts/{number % 5}/{number}.md", b"o%d" % number, None)))
    store.close()
    return model, disk, acks


def recover(root: str, files: dict[str, tuple[int, bytes]], home: str) -> tuple[set[str], str]:
    """Lay `files` out as a ledger in `root`, open it as a user would, write; (requests in history, fsck)."""
    shutil.rmtree(root, ignore_errors=True)
    for directory in ("objects/pack", "objects/info", "refs/heads", "refs/tags"):
        os.makedirs(f"{root}/ledger.git/{directory}")
    first: dict[int, str] = {}
    for path, (inode, data) in files.items():
        target = root + path.removeprefix(home)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if inode in first:
            os.link(first[inode], target)
        else:
            Path(target).write_bytes(data)
            first[inode] = target
    store = GitStore(root)
    store.submit(Request("after", "ada", "s", 1, "after the power came back", (Put("z", "facts/z.md", b"z", None),)))
    command = ["git", f"--git-dir={root}/ledger.git"]
    fsck = subprocess.run([*command, "fsck", "--no-dangling"], capture_output=True, env=environment(), check=False)
    log = subprocess.run(
        [*command, "log", "--format=%(trailers:key=Request,valueonly,separator=%x20)"],
        capture_output=True,
        env=environment(),
        check=True,
    )
    store.close()
    return set(log.stdout.decode().split()), fsck.stdout.decode() + fsck.stderr.decode()


def lose_power(home: str, tmp: str, batches: int, make_request: Callable[..., Request]) -> dict[str, int]:
    """Lose power after every call, in each of three ways; what was lost."""
    model, disk, acks = record(home, batches, make_request)
    rng = random.Random(8)
    acknowledged: set[str] = set()
    lost = broken = cases = 0
    for number, call in enumerate(disk.calls, 1):
        model.apply(call)
        acknowledged.update(acks.get(number, ()))
        for how in ("dropped", "kept", "mixed"):
            found, fsck = recover(tmp, model.crash(how, rng), home)
            cases += 1
            lost += len(acknowledged - found)
            broken += fsck != ""
    return {
        "batches": batches,
        "calls": len(disk.calls),
        "cases": cases,
        "acknowledged": len(acknowledged),
        "lost": lost,
        "broken": broken,
    }


def test_power_lost_after_any_call_loses_nothing(
    home: str, tmp_path: Path, make_request: Callable[..., Request]
) -> None:
    """Six batches, every call, three ways: nothing acknowledged is lost, and the ledger opens without help."""
    result = lose_power(home, str(tmp_path / "after"), 6, make_request)
    assert result["cases"] > 150 and result["acknowledged"] > 6
    assert (result["lost"], result["broken"]) == (0, 0)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_power_lost_in_two_hundred_batches(home: str, tmp_path: Path, make_request: Callable[..., Request]) -> None:
    """The same for 200 batches; the figures go to .bench/power.json."""
    result = lose_power(home, str(tmp_path / "after"), 200, make_request)
    report = Path(__file__).parents[2] / ".bench" / "power.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(result, indent=2))
    assert (result["lost"], result["broken"]) == (0, 0)


@pytest.mark.parametrize("missing", ["create", "sync"])
def test_the_model_notices_a_missing_fsync(
    home: str, tmp_path: Path, make_request: Callable[..., Request], missing: str
) -> None:
    """A disk whose fsyncs do nothing loses acknowledged writes: the test above can fail."""
    model, disk, acks = record(home, 4, make_request)
    acknowledged: set[str] = set()
    lost = 0
    rng = random.Random(1)
    for number, call in enumerate(disk.calls, 1):
        if call[0] == "create" and missing == "create" and isinstance(call[2], File):
            call[2].synced = False
        if not (call[0] == "sync" and missing == "sync"):
            model.apply(call)
        acknowledged.update(acks.get(number, ()))
        if number in acks:
            for how in ("dropped", "kept"):
                try:
                    found, fsck = recover(str(tmp_path / "after"), model.crash(how, rng), home)
                    lost += len(acknowledged - found) + (fsck != "")
                except Exception:  # the ledger does not open: noticed too
                    lost += 1
    assert lost > 0
