"""Hands at the view beside agents: bursts, races, what both cost each other, how soon each sees the other."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from swarm import Conflict, Swarm
from swarm.demo.recount import recount
from swarm.ingest import Ingest
from swarm.progress import Progress
from swarm_ledger import views
from swarm_ledger.view import View

from . import fleet, ledgers
from .row import Context, Outcome
from .safety import command, command_environment
from .saving import HAND, save, with_line
from .throughput import measure

__all__ = ["beside", "burst", "raced", "seen"]

_BODY = "agent: 0\n" + "a line that nobody changes\n" * 20 + "hand: 0\n"
_PATIENCE_S = 30.0


def burst(context: Context) -> Outcome:
    """Every file of a large view is changed at once while agents write; a watcher takes them in."""
    files, agents = context.pick(10_000, 500), 8
    repository = f"{context.directory}/burst"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, files, 1)
    view = _view(swarm)
    paths = [path for path, _ in swarm.store.paths("facts/")]
    seconds = context.pick(20, 2)

    def change(_: int, start: Callable[[], None], did: fleet.Did) -> None:
        rng = random.Random(7)
        start()
        for number, path in enumerate(paths):
            with open(f"{view.root}/{path}", encoding="utf-8") as file:
                text = file.read()
            save(f"{view.root}/{path}", f"{text}\nburst-{number}\n", rng)

    with _watcher(repository):
        results = fleet.run(
            f"{files:,} files by hand, {agents} agents",
            [*[ledgers.writing(repository, seconds)] * agents, change],
            seconds,
        )
        began = results[-1].began
        progress = Progress(sys.stderr, "taking in", files)
        missing = dict(enumerate(paths))
        last = time.monotonic()
        while missing and time.monotonic() < last + _PATIENCE_S * 2:
            texts = swarm.store.read_many(list(missing.values()))
            for number, path in list(missing.items()):
                if f"\nburst-{number}\n".encode() in texts[path].text:
                    del missing[number]
                    last = time.monotonic()
            progress.update(files - len(missing))
            time.sleep(0.2)
        progress.close()
    acks = [ack for did in results for ack in did.acks]
    refused = [text for did in results for text in did.refused]
    counted = recount(swarm.place.ledger, f"{context.directory}/clone.git", acks)
    swarm.close()
    out = Outcome()
    out.add(
        f"{files:,} files changed by hand in one burst, {agents} agents writing",
        "all taken in, 0 lost",
        f"{files - len(missing):,} taken in {last - began:.0f} s; {len(acks):,} writes acknowledged, "
        f"{len(counted.lost)} lost, {len(refused)} refused",
        not (missing or counted.lost or counted.duplicated or refused),
    )
    out.detail["not taken in"] = sorted(missing.values())[:20]
    return out


def raced(context: Context) -> Outcome:
    """An editor and an agent change one file as fast as they can, each its own line; each save waits to be taken in.

    A save is lost if it is not in the ledger, merged or as a contested entry, within half a minute.
    """
    saves = context.pick(10_000, 200)
    repository = f"{context.directory}/raced"
    swarm = ledgers.make(repository)
    view = _view(swarm)
    agent = swarm.agent("agent-1")
    if agent is None:
        raise LookupError("agent-1")
    written = agent.remember("raced", _BODY)
    done = f"{context.directory}/raced.done"

    def edit(_: int, start: Callable[[], None], did: fleet.Did) -> None:
        own = ledgers.open_with(repository)
        me = own.agent("agent-1")
        if me is None:
            raise LookupError("agent-1")
        edits = 0
        start()
        while not os.path.exists(done):
            with contextlib.suppress(Conflict):
                me.edit(written.id, with_line(me.show(written.id).body, "agent", edits + 1))
                edits += 1
            time.sleep(0.002)
        did.extra["edits"] = edits
        own.close()

    def take(_: int, start: Callable[[], None], did: fleet.Did) -> None:
        own = ledgers.open_with(repository)
        ingest = Ingest(own, _view(own))
        start()
        while not os.path.exists(done):
            ingest.run([os.path.dirname(written.path)])
        own.close()

    def hand(_: int, start: Callable[[], None], did: fleet.Did) -> None:
        own = ledgers.open_with(repository)
        rng = random.Random(3)
        start()
        try:
            for number in range(1, saves + 1):
                save(
                    f"{view.root}/{written.path}", with_line(_whole(f"{view.root}/{written.path}"), "hand", number), rng
                )
                began = time.monotonic()
                while not _has(own, written.path, number):
                    if time.monotonic() > began + _PATIENCE_S:
                        did.extra_names.append(str(number))
                        break
                    time.sleep(0.0005)
                did.seconds.append(time.monotonic() - began)
        finally:
            with open(done, "w", encoding="utf-8"):
                pass
            own.close()

    editor, _, saver = fleet.run(f"{saves:,} saves raced", [edit, take, hand], saves * 0.015, grace=3600)
    found = swarm.store.read(written.path)
    text = found.text.decode() if found else ""
    kept = f"agent: {editor.extra['edits']:.0f}\n" in text
    contested = sum(1 for _ in swarm.store.paths("contested/"))
    swarm.close()
    out = Outcome()
    out.add(
        f"a save raced against a refresh of the same file, {saves:,} times",
        "0 saves lost",
        f"{len(saver.extra_names)} lost, {contested} contested, {editor.extra['edits']:,.0f} edits of the agent "
        f"{'all there' if kept else 'NOT all there'}",
        not saver.extra_names and kept,
    )
    out.detail["ms until taken in"] = fleet.latencies_ms(saver.seconds)
    return out


def beside(context: Context) -> Outcome:
    """Writes a second of 16 processes, view on and a watcher running, against off; pairs of rounds, their median."""
    rounds, seconds = context.pick(5, 1), context.pick(10, 2)
    origin = f"{context.directory}/origin"
    swarm = ledgers.make(origin)
    ledgers.populate(swarm, context.pick(5000, 500), 1)
    ledgers.warm(swarm)
    swarm.close()
    ratios, detail = [], []
    for number in range(rounds):
        rate: dict[bool, float] = {}
        for on in (False, True) if number % 2 else (True, False):
            copy = ledgers.copy(origin, f"{context.directory}/run")
            label = f"16 processes, view {'on' if on else 'off'}, round {number + 1} of {rounds}"
            with _watcher(copy) if on else contextlib.nullcontext():
                found = measure(copy, 16, seconds, label)
                rate[on] = found["writes_per_s_without_catch_up"]
                late = _until_current(copy) if on else 0.0
            detail.append({"on": on, "current_after_s": round(late, 2), **found})
            shutil.rmtree(copy)
        ratios.append(rate[True] / rate[False])
    middle = statistics.median(ratios)
    out = Outcome()
    out.add(
        "agents' writes/s, view on and a watcher running, against off, 16 processes",
        "within 10 %",
        f"{100 * (middle - 1):+.1f} % (rounds: {', '.join(f'{100 * (one - 1):+.1f}' for one in ratios)})",
        middle >= 0.9,
    )
    out.detail["runs"] = detail
    return out


def seen(context: Context) -> Outcome:
    """How soon an agent's write shows in the view, and how soon `recall` finds what a hand saved."""
    repository = f"{context.directory}/seen"
    swarm = ledgers.make(repository)
    ledgers.populate(swarm, context.pick(5000, 500), 1)
    view = _view(swarm)
    agent = swarm.agent("agent-1")
    if agent is None:
        raise LookupError("agent-1")
    times = context.pick(200, 20)
    shown, found = [], []
    with _watcher(repository):
        for number in range(times):
            began = time.monotonic()
            written = agent.remember(f"seen {number}", "a body\n")
            while not os.path.exists(f"{view.root}/{written.path}"):
                time.sleep(0.0005)
            shown.append(time.monotonic() - began)
            time.sleep(0.05)
            path = f"{view.root}/{written.path}"
            save(path, _whole(path) + f"quagga{number}\n", random.Random(number))
            began = time.monotonic()
            while not agent.recall(f"quagga{number}", k=1) and time.monotonic() < began + _PATIENCE_S:
                time.sleep(0.005)
            found.append(time.monotonic() - began)
    swarm.close()
    out = Outcome()
    for name, values, limit in (
        ("an agent's write seen in the view, the write included", shown, 50),
        ("a hand edit seen by `recall`", found, 500),
    ):
        at = fleet.latencies_ms(values)
        out.add(name, f"< {limit} ms", f"{at['p50']} ms (p99 {at['p99']})", at["p50"] < limit)
    return out


def _view(swarm: Swarm) -> View:
    """The view of the repository's worktree, on and filled."""
    view = views.find(swarm.place, swarm.env) or views.turn_on(swarm.place, swarm.env)
    view.show(swarm.store)
    return view


@contextlib.contextmanager
def _watcher(repository: str) -> Iterator[None]:
    """A watcher at work on the view of `repository`."""
    swarm = ledgers.open_with(repository)
    _view(swarm).close()
    swarm.close()
    process = subprocess.Popen(
        command("watch"), cwd=repository, env=command_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("the watcher did not start")
        time.sleep(1)
        # Its output is read, so that it never waits for us.
        reading = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        yield
        process.terminate()
        process.wait(30)
        reading.wait(30)
    finally:
        process.kill()
        process.wait()


def _whole(path: str) -> str:
    """The text of a file, which is being exchanged, or saved in two parts by somebody else."""
    while True:
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            text = file.read()
            if text.count("\n---\n") and text.endswith("\n"):
                return text


def _has(swarm: Swarm, path: str, number: int) -> bool:
    """Whether the ledger has the save of that number, in the entry or in a contested one."""
    version = swarm.store.read(path)
    line = HAND.search(version.text.decode()) if version else None
    if line and int(line[1]) == number:
        return True
    contested = swarm.store.read_many([path for path, _ in swarm.store.paths("contested/")])
    return any(f"hand: {number}\n".encode() in one.text for one in contested.values())


def _until_current(repository: str) -> float:
    """Seconds until the view holds everything that the ledger does. Raises TimeoutError."""
    swarm = ledgers.open_with(repository)
    root = _root(swarm)
    waiting = {path for path, _ in swarm.store.paths()}
    began = time.monotonic()
    while waiting:
        waiting = {path for path in waiting if not os.path.exists(f"{root}/{path}")}
        if time.monotonic() > began + 300:
            raise TimeoutError(f"{len(waiting)} files are not in the view after five minutes")
        time.sleep(0.1)
    swarm.close()
    return time.monotonic() - began


def _root(swarm: Swarm) -> str:
    found = views.find(swarm.place, swarm.env)
    if found is None:
        raise LookupError("the view is off")
    return found.root
