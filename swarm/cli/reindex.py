"""Build the search index anew from the ledger. Never needed for right answers, only to see that it changes none."""

from __future__ import annotations

import argparse

from .call import Call
from .output import counted, say, say_json

EXAMPLE = """
swarm reindex
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """Rebuild."""
    number = call.swarm.index.reindex()
    call.swarm.facts.forget()
    call.swarm.sketches.forget()
    if call.json:
        say_json({"entries": number})
    else:
        say(f"{counted(number, 'entry')} indexed.")
    return 0
