"""Does the evidence for facts still stand on this branch? Each citation is fresh (the same text in its place), moved
(the same text elsewhere), changed, gone or uncheckable. That evidence is unchanged does not make a fact true. Exit code
1 where something changed or is gone, or where no code at all could be checked; 3 where --fix could not write all."""

from __future__ import annotations

import argparse
from collections import Counter

from swarm_ledger.standing import VERDICTS

from .call import Call
from .fields import ran, ran_option
from .output import counted, say, say_json, warn

EXAMPLE = """
swarm verify
swarm verify fact-261121-7k3q9m2x --fix
swarm verify --ref origin/main
make test > test.log; swarm verify --ran 'make test' $? test.log
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and against what."""
    parser.add_argument("ids", metavar="ID", nargs="*", help="facts or reflections; none is all that hold")
    parser.add_argument("--ref", metavar="REF", help="a branch or commit (default: what this worktree has checked out)")
    ran_option(parser, "what a cited command printed now, and its exit status; a file, or - for standard input")
    parser.add_argument("--fix", action="store_true", help="record where moved citations are now, as new versions")


def run(call: Call) -> int:
    """Print what is not fresh, and a summary."""
    from swarm.reanchor import difference, verify
    from swarm.verdicts import Evidence

    options = call.options
    evidence = Evidence(call.swarm, options.ref, ran(options))
    try:
        done = verify(evidence, options.ids, call.agent if options.fix else None)
        for one in done.verdicts:
            lines = difference(evidence, one) if one.verdict == "changed" else []
            if call.json:
                say_json({**one._asdict(), "difference": lines})
            elif one.verdict != "fresh" or options.ids:
                place = f" to {one.path}:{one.first}-{one.last}" if one.verdict == "moved" else ""
                place = f", now {one.path}:{one.first}-{one.last}" if one.verdict == "changed" and one.path else place
                say(f"{one.fact}  {one.cited}  {one.verdict}{place}{f' ({one.why})' if one.why else ''}")
                for line in lines:
                    say(f"    {line}")
        for written in done.written:
            if not call.json:
                say(f"{written.id} re-anchored in commit {(written.commit or '')[:12]}")
        for id, why in done.hindered.items():
            warn(f"{id} was not re-anchored: {why}")
        if not call.json:
            counts = Counter(one.verdict for one in done.verdicts)
            listed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
            say(f"{counted(len(done.verdicts), 'citation')}{f': {listed}' if listed else ''}.")
            if done.unreachable and done.code:
                say(f"No code could be checked: {done.unreachable}.")
    finally:
        evidence.close()
    return 3 if done.hindered else 0 if done.ok else 1
