"""Watchers and agents as real processes beside hands that save in every way that editors do."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm import Agent, Swarm
from swarm_ledger import views

DEADLINE_S = 60.0


@pytest.fixture
def swarm(repository: Path) -> Iterator[Swarm]:
    with Swarm.open(str(repository)) as opened:
        views.turn_on(opened.place, opened.env).show(opened.store)
        yield opened


@pytest.fixture
def agent(swarm: Swarm) -> Agent:
    return swarm.join("ada")


@pytest.fixture
def watch(repository: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts watchers, which are ended at the end."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "swarm", "watch"], cwd=repository, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and "Ctrl-C ends it" in process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def text(swarm: Swarm, path: str) -> str:
    version = swarm.store.read(path)
    return version.text.decode() if version else ""


def save(path: Path, data: str, rng: random.Random) -> None:
    """As one of the ways of editors does: over the file, beside it and renamed, or with the old one moved away."""
    way = rng.randrange(3)
    if way == 0:
        with open(path, "w", encoding="utf-8", buffering=1) as file:
            file.write(data)
        return
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(data)
    if way == 2 and path.exists():
        os.rename(path, f"{path}~")
    os.rename(beside, path)


def test_a_watcher_takes_in_what_hands_do_and_ctrl_c_ends_it(
    swarm: Swarm, agent: Agent, watch: Callable[[], subprocess.Popen[str]], repository: Path
) -> None:
    """Edits, new files, deletions, files that do not parse: a line for each; an interrupt is no failure."""
    paths = [agent.remember(f"Fact {number}", "a body\n").path for number in range(4)]
    root = repository / ".swarm/ledger"
    process = watch()
    (root / paths[0]).write_text((root / paths[0]).read_text() + "edited\n")
    (root / "note.md").write_text("# A note\n")
    (root / "bad.md").write_text("---\n[\n")
    (root / paths[1]).unlink()
    until(lambda: "edited" in text(swarm, paths[0]) and swarm.store.read(paths[1]) is None)
    until(lambda: not (root / "note.md").exists())
    out = ""
    while not all(word in out for word in ("edited", "note.md", "bad.md", "retracted")):
        assert process.stdout is not None
        out += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert f"edited: {Path(paths[0]).stem}" in out
    assert "(note.md)" in out and "not taken in: bad.md" in out
    assert f"retracted: {Path(paths[1]).stem}" in out


def test_two_watchers_take_in_each_change_once(
    swarm: Swarm, agent: Agent, watch: Callable[[], subprocess.Popen[str]], repository: Path
) -> None:
    """A burst of saves of all kinds: every one is in, no entry twice, `rev` was raised once for each."""
    paths = [agent.remember(f"Fact {number}", "a body\n").path for number in range(60)]
    root = repository / ".swarm/ledger"
    watch()
    watch()
    rng = random.Random(11)
    for number, path in enumerate(paths):
        save(root / path, (root / path).read_text() + f"burst-{number}\n", rng)
    for number in range(20):
        (root / f"new-{number}.md").write_text(f"# New {number}\n")
    until(lambda: all(f"burst-{number}\n" in text(swarm, path) for number, path in enumerate(paths)))
    until(lambda: not list(root.glob("new-*.md")))
    assert all("\nrev: 2\n" in text(swarm, path) for path in paths)
    titles = [re.search("^title: (.*)$", text(swarm, path), re.M) for path, _ in swarm.store.paths("facts/")]
    assert sorted(found[1] for found in titles if found) == sorted(
        [f"Fact {number}" for number in range(60)] + [f"New {number}" for number in range(20)]
    )
    assert list(swarm.store.paths("contested/")) == []


def test_saves_raced_against_refreshes_are_all_taken_in(
    swarm: Swarm, agent: Agent, watch: Callable[[], subprocess.Popen[str]], repository: Path
) -> None:
    """An agent and an editor change one file at once, each its own line: each save comes in, no edit is undone."""
    body = "agent: 0\n" + "a line that nobody changes\n" * 20 + "hand: 0\n"
    written = agent.remember("Raced", body)
    file = repository / ".swarm/ledger" / written.path
    watch()
    editing = subprocess.Popen(
        [sys.executable, "-c", _EDITING, str(repository), written.id], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    rng = random.Random(5)
    for number in range(1, 41):
        until(lambda: file.exists() and file.read_text().endswith("\n"))
        save(file, re.sub("^hand: .*$", f"hand: {number}", file.read_text(), flags=re.M), rng)
        until(lambda number=number: f"\nhand: {number}\n" in text(swarm, written.path))  # type: ignore[misc]
    out, _ = editing.communicate(b"\n", timeout=30)
    assert int(out) > 0
    assert f"\nagent: {int(out)}\n" in text(swarm, written.path)
    assert f"rev: {1 + 40 + int(out)}\n" in text(swarm, written.path)
    assert list(swarm.store.paths("contested/")) == []


_EDITING = """
import re, select, sys, time
from swarm import Conflict, Swarm
with Swarm.open(sys.argv[1]) as swarm:
    agent, edits = swarm.agent("grace"), 0
    while not select.select([sys.stdin], [], [], 0.003)[0]:
        try:
            body = agent.show(sys.argv[2]).body
            agent.edit(sys.argv[2], re.sub("^agent: .*$", f"agent: {edits + 1}", body, flags=re.M))
            edits += 1
        except Conflict:
            pass
print(edits)
"""


def test_a_watcher_shows_what_nobody_else_has_shown(
    swarm: Swarm, agent: Agent, watch: Callable[[], subprocess.Popen[str]], repository: Path
) -> None:
    """Deleted as a whole, the view comes back; so does what was written while it could not be."""
    path = agent.remember("A fact").path
    watch()
    root = repository / ".swarm/ledger"
    subprocess.run(["rm", "-rf", str(root.parent)], check=True)
    until(lambda: (root / path).exists())
    (root / path).write_text((root / path).read_text() + "edited after\n")
    until(lambda: "edited after" in text(swarm, path))
    assert list(swarm.store.paths("tombstones/")) == []
