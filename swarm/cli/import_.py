"""Bring in entries from elsewhere. What is there already is skipped, so an import can be repeated.

conversation  turns of a conversation (LoCoMo's JSON) as log entries of their speakers, with the time they were said
jsonl         what `swarm export` printed, with its ids, authors and times; - reads standard input
"""

from __future__ import annotations

import argparse
import sys

from swarm_ledger.env import storage_error

from .call import Call
from .output import counted, say, say_json

EXAMPLE = """
swarm import conversation talks.json
swarm import jsonl ledger.jsonl
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The format and the file."""
    parser.add_argument("format", choices=["conversation", "jsonl"])
    parser.add_argument("file", metavar="FILE")


def run(call: Call) -> int:
    """Import it."""
    from swarm.exchange import import_entries

    options = call.options
    if options.format == "conversation":
        from swarm.talks import import_conversations

        done = import_conversations(call.swarm, options.file)
    elif options.file == "-":
        done = import_entries(call.agent, call.swarm.store, sys.stdin.buffer)
    else:
        agent = call.agent
        try:
            with open(options.file, "rb") as file:
                done = import_entries(agent, call.swarm.store, file)
        except OSError as error:
            raise storage_error(error, f"reading {options.file}") from None
    if call.json:
        say_json({"written": done.written, "skipped": done.skipped, "differing": list(done.differing)})
    else:
        say(f"{counted(done.written, 'entry')} written, {done.skipped} there already.")
        for id in done.differing:
            say(f"left as it is: {id} is there already with another text.")
    return 1 if done.differing else 0
