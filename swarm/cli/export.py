"""Print every entry as one JSON object a line (id, path, fields, body), or copy the markdown files."""

from __future__ import annotations

import argparse

from .call import Call
from .output import counted, say, say_json

EXAMPLE = """
swarm export > ledger.jsonl
swarm export --to copy-of-the-ledger
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("--to", metavar="DIR", help="copy the files into this new directory instead")


def run(call: Call) -> int:
    """Export."""
    from swarm.exchange import copy_files, export

    target = call.options.to
    if target is None:
        for entry in export(call.swarm.store):
            say_json(entry, bare=True)
        return 0
    number = copy_files(call.swarm.store, target)
    if call.json:
        say_json({"directory": target, "files": number})
    else:
        say(f"{counted(number, 'file')} copied to {target}.")
    return 0
