"""Take in what was edited, made, renamed or deleted by hand in .swarm/ledger/. Exit code 1 where something stays."""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm ingest
swarm ingest --deletions
"""

_PATIENCE_S = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with many deletions."""
    parser.add_argument("--deletions", action="store_true", help="retract however many files are gone")


def run(call: Call) -> int:
    """Take it in."""
    from swarm.handwork import Taken
    from swarm.ingest import Ingest
    from swarm_ledger import views

    swarm = call.swarm
    view = views.find(swarm.place, swarm.env)
    if view is None:
        raise BadInput("the view is off in this worktree; `swarm view on` turns it on.")
    ingest = Ingest(swarm, view, acting=call.name)
    deadline = swarm.env.monotonic() + _PATIENCE_S
    taken: list[Taken] = []
    while True:
        result = ingest.run(deletions=call.options.deletions)
        taken += result.taken
        if not result.waiting or swarm.env.monotonic() > deadline:
            break
        swarm.env.sleep(0.05)
    if call.json:
        say_json(
            {
                "taken": [one._asdict() for one in taken],
                "problems": dict(result.problems),
                "waiting": list(result.waiting),
            }
        )
    else:
        for one in taken:
            say(one.line)
        for name, why in result.problems.items():
            say(f"not taken in: {name}: {why}")
        for name in result.waiting:
            say(f"not taken in: {name}: somebody is writing it just now; run this again")
        if not (taken or result.problems or result.waiting):
            say("Nothing was changed by hand.")
    return 1 if result.problems or result.waiting else 0
