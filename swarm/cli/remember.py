"""Write a fact with the evidence for it, or a plan, task, entity or reflection."""

from __future__ import annotations

import argparse

from .call import Call, text_of
from .fields import about, about_options
from .output import written

EXAMPLE = """
swarm remember "Sessions expire after 15 minutes" --cite src/auth.py:10-24 --entity service:auth
make bench > bench.log; swarm remember "The benches pass" --ran 'make bench' $? bench.log
swarm remember "Payment gateway" --kind entity --type service --body "Owned by billing."
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The title and all else."""
    parser.add_argument("title", metavar="TITLE")
    parser.add_argument("--body", metavar="TEXT", default="", help="markdown; - reads standard input")
    parser.add_argument("--kind", choices=["fact", "reflection", "entity", "plan", "task"], default="fact")
    parser.add_argument("--type", help="an entity's type, such as file, service or person")
    parser.add_argument("--plan", metavar="ID", help="the plan of a task")
    about_options(parser)


def run(call: Call) -> int:
    """Remember it."""
    options = call.options
    given = about(options)  # before standard input is read for the body
    done = call.agent.remember(
        options.title,
        text_of(options.body),
        kind=options.kind,
        type=options.type,
        plan=options.plan,
        **given,
    )
    return written(done, "remembered", call.json)
