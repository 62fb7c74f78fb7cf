"""Become an agent of the swarm in this worktree; what is read counts anew from here."""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput

from .call import Call
from .output import say, say_json, warn

EXAMPLE = """
swarm join backend --role "owns the API"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """A name and a role."""
    parser.add_argument("name", metavar="NAME", help="a-z, 0-9, dot, hyphen and underscore")
    parser.add_argument("--role", help="what this agent is here for")


def run(call: Call) -> int:
    """Join, and say under which name."""
    if call.acting is not None and call.acting != call.options.name:
        raise BadInput(f"--as {call.acting} and join {call.options.name}: leave out --as, join takes the name.")
    agent = call.swarm.join(call.options.name, call.options.role)
    session, acting = agent.session, call.name
    if call.json:
        say_json(
            {
                "agent": agent.name,
                "asked": agent.asked,
                "replaced": agent.replaced,
                "session": session.id,
                "role": session.role,
            }
        )
    else:
        say(f"You are {agent.name}{f': {agent.asked} works in another worktree' if agent.name != agent.asked else ''}.")
        if agent.replaced:
            say(f"{agent.replaced}, who was the agent of this worktree, acts from here on by --as {agent.replaced}.")
    if acting is not None and acting != agent.name:
        warn(f"SWARM_AGENT is {acting}, and comes before who joined: unset it to act as {agent.name}.")
    return 0
