"""Start over with what counts as read, after your context was compacted; you stay the same agent."""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput

from .call import Call
from .output import counted, say, say_json

EXAMPLE = """
swarm session reset
swarm session reset --older 7200
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    parser.add_argument("action", choices=["reset"])
    parser.add_argument("--older", type=float, metavar="S", help="forget only what was read over so many seconds ago")


def run(call: Call) -> int:
    """Forget what was read."""
    session, older = call.agent.session, call.options.older
    if older is not None and not 0 <= older < 1e9:
        raise BadInput(f"--older takes a number of seconds, not {older:g}.")
    session.reset(None if older is None else call.swarm.env.now() - older)
    read = len(session.seen())
    if call.json:
        say_json({"agent": session.agent, "session": session.id, "read": read})
    else:
        say(f"{session.agent} has read {counted(read, 'entry') if read else 'nothing'} from here on.")
    return 0
