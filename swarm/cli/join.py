"""Become an agent of the swarm in this worktree; what is read counts anew from here."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm join backend --role "owns the API"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """A name and a role."""
    parser.add_argument("name", metavar="NAME", help="a-z, 0-9, dot, hyphen and underscore")
    parser.add_argument("--role", help="what this agent is here for")


def run(call: Call) -> int:
    """Join, and say under which name."""
    agent = call.swarm.join(call.options.name, call.options.role)
    if call.json:
        session = agent.session
        say_json({"agent": agent.name, "asked": agent.asked, "session": session.id, "role": session.role})
    elif agent.name != agent.asked:
        say(f"You are {agent.name}: {agent.asked} works in another worktree.")
    else:
        say(f"You are {agent.name}.")
    return 0
