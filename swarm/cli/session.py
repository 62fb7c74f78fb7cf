"""Start over with what counts as read, after your context was compacted; you stay the same agent."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm session reset
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    parser.add_argument("action", choices=["reset"])


def run(call: Call) -> int:
    """Forget what was read."""
    session = call.agent.session
    session.reset()
    if call.json:
        say_json({"agent": session.agent, "session": session.id, "read": 0})
    else:
        say(f"{session.agent} has read nothing from here on.")
    return 0
