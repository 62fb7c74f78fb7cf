"""Who owns what at this moment, since when and until when."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm leases
swarm leases --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """List them."""
    leases = call.reader.leases()
    for one in leases:
        if call.json:
            say_json(one._asdict())
            continue
        since, until = (f"{datetime.fromtimestamp(at, UTC):%H:%M:%SZ}" for at in (one.since, one.until))
        say(f"{one.line}  {one.agent}{' (you)' if one.mine else ''}, {since} to {until}{_note(one.note)}")
    if not leases and not call.json:
        say("nobody owns anything.")
    return 0


def _note(note: str) -> str:
    return f": {note}" if note else ""
