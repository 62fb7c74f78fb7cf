"""Where the ledger is, what it holds, who is in it, which facts contest each other, and how much of what you read has
changed."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from .call import Call
from .output import Notice, counted, say, say_json, short

if TYPE_CHECKING:
    from swarm.api import Swarm
    from swarm_ledger.views import Showing

EXAMPLE = """
swarm status
swarm status --json
"""

_SHOWN = 10
"""So many contested keys are named."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """Print it."""
    swarm = call.swarm
    status = swarm.status(call.reader.session)
    me = status.me
    view = _view(swarm)
    if call.json:
        say_json(
            {
                "ledger": status.ledger,
                "tip": status.tip,
                "entries": dict(status.entries),
                "agents": [one._asdict() for one in status.agents],
                "me": me and {"agent": me.agent, "session": me.id, "role": me.role},
                "stale": dict(status.stale),
                "contested": {key: list(ids) for key, ids in status.contested.items()},
                "view": view and view._asdict(),
                "embedder": status.embedder,
            }
        )
        return 0
    say(f"ledger   {status.ledger}")
    say(f"tip      {short(status.tip) if status.tip else 'no commit yet'}")
    say("entries  " + (", ".join(counted(number, kind) for kind, number in status.entries.items()) or "none yet"))
    if status.embedder:
        say(f"embedder {status.embedder}")
    for one in status.agents:
        role = f", {one.role}" if one.role else ""
        how = "" if one.joined else " (by --as)"
        say(f"agent    {one.name}{role}{how}{'' if one.present else ' (its worktree is gone)'}")
    if view:
        say(f"view     {view.directory}")
        for name, why in view.problems.items():
            say(f"         not taken in: {name}: {why}")
    for number, (key, ids) in enumerate(status.contested.items()):
        if number == _SHOWN:
            say(f"         and {len(status.contested) - _SHOWN} more keys; `swarm check` names them")
            break
        say(f"contest  {key}: {', '.join(ids)}; settle it by `swarm supersede WRONG --by RIGHT`")
    if me is None:
        say("you      nobody yet: `swarm join NAME`, or --as NAME")
        return 0
    say(f"you      {me.agent}{f', {me.role}' if me.role else ''}")
    if status.stale:
        say(f"changed  {len(status.stale)} of the entries that you read:")
        for id, version in status.stale.items():
            say(f"         {id}{'' if version else ' (retracted)'}")
    else:
        say("changed  nothing of what you read")
    Notice.said = True
    return 0


def _view(swarm: Swarm) -> Showing | None:
    if not os.path.isdir(f"{swarm.place.home}/views"):
        return None
    from swarm_ledger.views import showing

    return showing(swarm.place)
