"""Power loss: every prefix of the recorded file-system calls, with what was not synced dropped, kept or torn."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_ledger.env import Env
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore
from swarm_ledger.store import Put, Request

from .power import File, Model, Recorder


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
