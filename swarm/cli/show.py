"""Read an entry as it stands, whether its evidence does, and what contests it; of a retracted one, who took it out and
why, and what it said."""

from __future__ import annotations

import argparse
import json

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm show fact-261121-7k3q9m2x
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument("id", metavar="ID")


def run(call: Call) -> int:
    """Print it."""
    shown = call.reader.show(call.options.id)
    gone = shown.retracted
    checked = shown.kind != "log" and not gone
    standing = call.swarm.evidence.of([shown.id]).get(shown.id) if checked else None
    verdicts = call.swarm.evidence.verdicts([shown.id]) if standing else []
    if call.json:
        say_json(
            {
                "id": shown.id,
                "kind": shown.kind,
                "path": shown.path,
                "version": shown.version,
                "fields": dict(shown.fields),
                "body": shown.body,
                "text": shown.text,
                "retracted": gone._asdict() if gone else None,
                "standing": standing._asdict() if standing else None,
                "verdicts": [one._asdict() for one in verdicts],
            }
        )
        return 0
    if gone:
        say(f"{shown.id} was retracted by {gone.by} at {gone.at}: {gone.why}")
        say(f"({gone.tombstone}) It said:\n" if shown.text else f"({gone.tombstone}) This ledger has no copy of it.")
    if shown.kind == "log":
        meta = {name: value for name, value in shown.fields.items() if name not in ("id", "kind", "by", "at")}
        say(f"{shown.id}  by {shown.fields['by']}, {shown.fields['at']}")
        say((json.dumps(meta, ensure_ascii=False) + "\n" if meta else "") + f"\n{shown.body}")
    elif shown.text:
        say(shown.text.removesuffix("\n"))
    if standing:
        if verdicts or standing.rivals or standing.contested or standing.expired:
            say("")
        for one in verdicts:
            where = f" at {one.path}:{one.first}-{one.last}" if one.path and one.verdict != "fresh" else ""
            say(f"{one.cited}: {one.verdict}{where}{f' ({one.why})' if one.why else ''}")
        for rival in standing.rivals:
            key = shown.fields.get("key")
            say(f"contested by {rival}: both give {key} a value; swarm supersede WRONG --by RIGHT settles it")
        for id in standing.contested:
            say(
                f"contested: another version is in {id}; put in what belongs here, then `swarm retract {id} --why TEXT`"
            )
        if standing.expired:
            say(f"no longer valid since {shown.fields.get('valid_to')}")
    return 0
