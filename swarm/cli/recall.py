"""Search the ledger by words, and by kind, agent, entity, room and time. Best first."""

from __future__ import annotations

import argparse
import sys

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm recall session expiry
swarm recall "flaky test" -k 5 --kind log --by backend --since 2026-11-20
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The query and filters."""
    parser.add_argument("query", metavar="QUERY", nargs="*", help="words; none with a filter lists the newest")
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument("--kind")
    parser.add_argument("--by", metavar="AGENT")
    parser.add_argument("--entity")
    parser.add_argument("--room")
    parser.add_argument("--since", metavar="TIME", help="a date, or a time like 2026-11-21T10:54:03Z")
    parser.add_argument("--until", metavar="TIME")


def run(call: Call) -> int:
    """Print the hits."""
    options = call.options
    hits = call.reader.recall(
        " ".join(options.query),
        k=options.k,
        kind=options.kind,
        by=options.by,
        entity=options.entity,
        room=options.room,
        since=options.since,
        until=options.until,
    )
    for number, hit in enumerate(hits, 1):
        if call.json:
            say_json(hit._asdict())
            continue
        about = [f"by {hit.by}", hit.at, f"valid from {hit.valid_from}" if hit.valid_from else "", hit.status]
        score = f"  {hit.score:.3g}" if hit.score else ""
        say(f"{number}. {hit.id}{score}  {hit.title}\n   {', '.join(part for part in about if part)}")
        if hit.snippet and hit.snippet != hit.title:
            say(f"   {hit.snippet}")
    if not hits and not call.json:
        say("nothing found.")
    left_out = call.swarm.index.terms_left_out
    if left_out:
        print(f"swarm: {left_out} more words of the query were not searched for.", file=sys.stderr)
    return 0
