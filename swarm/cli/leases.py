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
        since, until = (datetime.fromtimestamp(at, UTC) for at in (one.since, one.until))
        time = "%H:%M:%SZ" if since.date() == until.date() else "%Y-%m-%dT%H:%M:%SZ"
        whose = f"{one.agent}{' (you)' if one.mine else ''}"
        say(f"{one.line}  {whose}, {since:{time}} to {until:{time}}{_note(one.note)}")
    if not leases and not call.json:
        say("nobody owns anything.")
    return 0


def _note(note: str) -> str:
    return f": {note}" if note else ""
