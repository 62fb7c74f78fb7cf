"""An agent at work in a worktree of its own: logs, facts that cite its code, shared pages, reading the others."""

from __future__ import annotations

import random
import time

from swarm.agent import Agent
from swarm.api import Swarm
from swarm.secrets import secret_in
from swarm_ledger.errors import SwarmError

from .process import Worker
from .recount import Ack

__all__ = ["work"]

_SPAN = (3, 10)
_TASKS = ("reading", "testing", "reviewing", "tracing", "measuring", "documenting")


def work(worker: Worker) -> None:
    """Join, then write and read until the time is over or enough is written."""
    orders = worker.orders
    rng = random.Random(orders["seed"])
    with Swarm.open(orders["worktree"]) as swarm:
        agent = swarm.join(orders["name"], "demonstration")
        one = _Agent(worker, agent, rng)
        worker.wait_for_start()
        until = time.monotonic() + orders["seconds"] if orders["seconds"] else None
        writes = 0
        while not worker.stopped:
            if (until and time.monotonic() >= until) or (orders["writes"] and writes >= orders["writes"]):
                break
            act = rng.choices((one.log, one.remember, one.edit), (4, 4, 3))[0]
            act()
            writes += 1
            if rng.random() < 0.25:
                one.look_around()


class _Agent:
    def __init__(self, worker: Worker, agent: Agent, rng: random.Random) -> None:
        self._worker, self._agent, self._rng = worker, agent, rng
        self._others = [name for name in worker.orders["names"] if name != agent.name] or [agent.name]
        self._edits = 0

    def log(self) -> None:
        """Say what it does."""
        path, first, text = self._line()
        doing = f"{self._rng.choice(_TASKS)} {path}, line {first}: {text}"
        to = self._rng.choice(self._others) if self._rng.random() < 0.2 else None

        def write() -> Ack:
            written = self._agent.log(doing, to=to)
            return Ack(written.id, written.path, None, str(written.commit))

        self._worker.write("log", write)

    def remember(self) -> None:
        """Keep a fact, with the code that shows it."""
        path, first, text = self._line()
        last = min(first + self._rng.randint(*_SPAN), len(self._lines(path)))
        body = f"Seen in `{path}`, lines {first} to {last}; it begins with `{text}`."
        area = self._rng.choice(self._worker.orders["areas"])

        def write() -> Ack:
            written = self._agent.remember(
                f"{path}:{first} says {text[:60]}",
                body,
                cite=[f"{path}:{first}-{last}"],
                entities=[area],
                force="lines are drawn by chance, and may come twice",
            )
            return Ack(written.id, written.path, written.version, str(written.commit))

        self._worker.write("remember", write)

    def edit(self) -> None:
        """Add a line to a page that all share; where another was faster, read it again and then edit."""
        page = self._rng.choice(self._worker.orders["areas"])
        path, first, _ = self._line()
        self._edits += 1
        line = f"- {self._agent.name}, remark {self._edits}: see {path}, line {first}"

        def write() -> Ack:
            written = self._agent.edit(page, body=f"{shown.body}{line}\n")
            return Ack(written.id, written.path, written.version, str(written.commit), line)

        done = False
        while not done and not self._worker.stopped:
            shown = self._agent.show(page)
            done = self._worker.write("edit", write)

    def look_around(self) -> None:
        """Recall something and read what was found."""
        _, _, text = self._line()
        try:
            hits = self._agent.recall(text, k=3)
            self._worker.count("recall")
            for hit in hits[:2]:
                self._agent.show(hit.id)
                self._worker.count("show")
        except SwarmError:
            return  # a line without a word to search for

    def _line(self) -> tuple[str, int, str]:
        """(path, number, text) of a line of some tracked file, neither blank nor like a secret if it can be helped."""
        for _ in range(20):
            path = self._rng.choice(self._worker.orders["files"])
            lines = self._lines(path)
            number = self._rng.randrange(len(lines))
            text = "".join(char if char.isprintable() else " " for char in lines[number]).strip()
            if len(text) > 8 and secret_in(text) is None:
                break
        return path, number + 1, text or "an empty line"

    def _lines(self, path: str) -> list[str]:
        with open(f"{self._worker.orders['worktree']}/{path}", encoding="utf-8", newline="") as file:
            lines = file.read().split("\n")
        return lines[:-1] if lines[-1] == "" else lines
