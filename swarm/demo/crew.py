"""Starting the processes, watching them, ending them: whatever happens, none is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarm.progress import Progress
from swarm_ledger.errors import BadInput, StorageError
from swarm_ledger.git import environment

from .recount import Ack

__all__ = ["Work", "check", "run"]

_MOST = 256
_START_S = 120.0
_END_S = 60.0


@dataclass
class Work:
    """What all processes did together. `latencies` are seconds, in ascending order."""

    acks: list[list[Ack]] = field(default_factory=list)
    """One list for each process."""
    latencies: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    conflicts: int = 0
    did: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    """From the start of the first to the end of the last."""

    def latency_ms(self, share: float) -> float:
        """The latency that `share` of all writes did not exceed."""
        known = self.latencies or [0.0]
        return known[min(len(known) - 1, int(len(known) * share))] * 1e3


def check(processes: int, seconds: float | None, writes: int | None) -> None:
    """Raise BadInput unless such a demonstration can be."""
    if not 1 <= processes <= _MOST:
        raise BadInput(f"--processes: {processes} is not from 1 to {_MOST}.")
    if seconds is not None and writes is not None:
        raise BadInput("give --seconds or --writes, not both.")
    if seconds is not None and not 0 < seconds <= 86400:
        raise BadInput(f"--seconds: {seconds:g} is not a time from above 0 to 86400.")
    if writes is not None and writes < 1:
        raise BadInput(f"--writes: {writes} is not a number of writes from 1 on.")


def run(directory: str, orders: Sequence[dict[str, Any]], progress: Progress, seconds: float | None) -> Work:
    """Start one process for each of `orders`, all writing from the same moment on; what they did.

    The progress counts seconds where they are given, else acknowledged writes. Raises StorageError where a process
    fails, with the end of what it said.
    """
    os.makedirs(directory)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, one in enumerate(orders):
            started.append(_start(directory, number, one))
        _wait(directory, started, "ready", time.monotonic() + _START_S, lambda _: None)
        with open(f"{directory}/go", "x"):
            pass
        began, tally = time.monotonic(), _Tally(directory, len(started))

        def show(done: int) -> None:
            writes, spent = tally.count(), time.monotonic() - began
            note = f"{writes:,} writes, {writes / max(spent, 0.1):,.0f}/s" + (f", {done} ended" if done else "")
            progress.update(spent if seconds else writes, note)

        _wait(directory, started, "done", None if seconds is None else began + seconds + _END_S, show)
        for process in started:
            process.wait(10)
    finally:
        _end(started)
    return _gather(directory, len(started))


def _start(directory: str, number: int, orders: dict[str, Any]) -> subprocess.Popen[bytes]:
    path = f"{directory}/{number}.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**orders, "directory": directory, "number": number}, file)
    kept = {name: value for name, value in environment().items() if not name.startswith("SWARM_")}
    with open(f"{directory}/{number}.said", "wb") as said:
        # -P and a directory of ours: a module of the repository that is shown is never imported by accident. A
        # session of its own: an interrupt from the keyboard reaches us, and we end the others.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "swarm.demo.process", path],
            cwd=directory,
            env={**kept, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def _wait(
    directory: str,
    started: list[subprocess.Popen[bytes]],
    mark: str,
    deadline: float | None,
    show: Callable[[int], None],
) -> None:
    """Until every process has left its file `mark`."""
    while True:
        done = sum(os.path.exists(f"{directory}/{number}.{mark}") for number in range(len(started)))
        show(done)
        if done == len(started):
            return
        for number, process in enumerate(started):
            if process.poll() is not None and not os.path.exists(f"{directory}/{number}.{mark}"):
                with open(f"{directory}/{number}.said", encoding="utf-8", errors="replace") as file:
                    said = file.read().strip().splitlines() or [f"exit {process.returncode}"]
                raise StorageError(f"process {number + 1} of the demonstration failed: {said[-1]}")
        if deadline and time.monotonic() > deadline:
            raise StorageError(f"{len(started) - done} processes of the demonstration do not go on; try again.")
        time.sleep(0.1)


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Tally:
    """Counts the acknowledgements of all processes, reading only what came since."""

    def __init__(self, directory: str, processes: int) -> None:
        self._paths = [f"{directory}/{number}.acks" for number in range(processes)]
        self._read = [0] * processes
        self._count = 0

    def count(self) -> int:
        for number, path in enumerate(self._paths):
            with open(path, "rb") as file:
                file.seek(self._read[number])
                data = file.read()
            self._read[number] += len(data)
            self._count += data.count(b"\n")
        return self._count


def _lines(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from file


def _gather(directory: str, processes: int) -> Work:
    work = Work()
    began, ended = [], []
    for number in range(processes):
        work.acks.append([Ack(*json.loads(line)) for line in _lines(f"{directory}/{number}.acks")])
        with open(f"{directory}/{number}.done", encoding="utf-8") as file:
            said = json.load(file)
        work.latencies += said["seconds"]
        work.refused += said["refused"]
        work.conflicts += said["conflicts"]
        for verb, count in said["did"].items():
            work.did[verb] = work.did.get(verb, 0) + count
        began.append(said["began"])
        ended.append(said["ended"])
    work.latencies.sort()
    work.seconds = max(ended) - min(began)
    return work
