"""What changed of that which you have read, and how. Told the whole difference, you have read it."""

from __future__ import annotations

import argparse

from .call import Call
from .output import Notice, say, say_json, short

EXAMPLE = """
swarm changes
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """Print the differences."""
    found = call.agent.changes()
    for one in found:
        if call.json:
            say_json(one._asdict())
        elif one.whole:
            say(f"{one.id} {short(one.version) if one.version else ''}\n{one.delta}".replace(" \n", "\n"))
        else:
            say(f"{one.id} changed in more ways than can be listed: `swarm show {one.id}`")
    if not call.json:
        Notice.said = True
    if not found and not call.json:
        say("nothing of what you read has changed.")
    return 0
