"""Take in what is edited in .swarm/ledger/ as it happens, and show there what agents write. Ctrl-C ends it."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys

from swarm_ledger.errors import BadInput

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm watch
swarm watch --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """Watch until interrupted, which is no failure."""
    from swarm.ingest import Result
    from swarm.watch import watch
    from swarm_ledger import views

    swarm = call.swarm
    view = views.find(swarm.place, swarm.env)
    if view is None:
        raise BadInput("the view is off in this worktree; `swarm view on` turns it on.")

    def told(result: Result) -> None:
        for one in result.taken:
            say_json(one._asdict(), bare=True) if call.json else say(one.line)
        for name, why in result.problems.items():
            say_json({"problem": name, "why": why}, bare=True) if call.json else say(f"not taken in: {name}: {why}")
        sys.stdout.flush()

    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True  # an exception alone may come where Python drops it
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if not call.json:
        say(f"Watching {view.root}; Ctrl-C ends it.")
        sys.stdout.flush()

    def note(text: str) -> None:
        print(f"swarm: {text}", file=sys.stderr, flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        watch(swarm, view, told, note, until=lambda: ended, acting=call.name)
    return 0
