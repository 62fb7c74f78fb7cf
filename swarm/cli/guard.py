"""Refuse commits, merges and pushes that write code which another agent owns, in every worktree, by git's own hooks.

install    put the hooks in; those that are there go on working, `core.hooksPath` is respected
status     is every worktree guarded? Exit code 1 where not (the default)
uninstall  take them out, and put back what was there
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from swarm_ledger.errors import BadInput, NotFound, Refused

from .call import Call
from .output import say, say_json

if TYPE_CHECKING:
    from swarm_ledger.place import Place

EXAMPLE = """
swarm guard install
swarm guard status
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do; `hook` is for the hooks, with the name of the hook and what git tells it."""
    parser.add_argument("what", nargs="?", default="status", choices=["install", "status", "uninstall", "hook"])
    parser.add_argument("hook", nargs="?", choices=["pre-commit", "pre-merge-commit", "pre-push"], help="for the hooks")
    parser.add_argument("given", nargs="*", help=argparse.SUPPRESS)


def run(call: Call) -> int:
    """Do it."""
    if (call.options.what == "hook") != (call.options.hook is not None):
        raise BadInput("the name of a hook goes with `hook`, and with nothing else: git's hooks run that.")
    if call.options.what == "hook":
        return _hook(call)
    from swarm import hooks
    from swarm_ledger.place import find

    place = find(call.cwd, call.home)
    if place is None:
        raise NotFound("not inside a git repository: there are no commits to guard.")
    if call.options.what == "install":
        command = [sys.executable, "-E", "-P", "-m", "swarm"]
        found = hooks.install(place, command, os.environ, call.home)
    else:
        found = (hooks.uninstall if call.options.what == "uninstall" else hooks.status)(place, os.environ)
    if call.json:
        say_json({"guarded": found.guarded, **found._asdict()})
    else:
        say("guarded" if found.guarded else "not guarded" if not found.hooks else "not fully guarded")
        for directory in found.hooks:
            say(f"hooks   {directory}")
        for other in found.others:
            say(f"first   {other}")
        for text in () if call.options.what == "uninstall" else found.missing:
            say(f"missing {text}")
        if found.missing and call.options.what == "status":
            say("`swarm guard install` guards every worktree.")
    return 0 if found.guarded or call.options.what == "uninstall" else 1


def _hook(call: Call) -> int:
    """Ask the guard for git, which says what is about to happen by arguments, environment and standard input."""
    from swarm.guard import Guard, LiveLease, heads, refusal
    from swarm.landing import CodeRepository
    from swarm.session import Sessions
    from swarm_ledger.coherence import renew
    from swarm_ledger.env import Env
    from swarm_ledger.leasefile import LeaseFile

    place, env = _place(call), Env()
    sessions = Sessions(place, call.cwd, env)
    me = sessions.joined() if call.name is None else sessions.find(call.name)
    directory = LeaseFile(place.home, env)
    try:
        leases = LiveLease.all(directory, env)
        if me and any(lease.session == me.id for lease in leases):
            with directory.deciding() as table:  # a commit is a sign of life
                renew(table, me.id, directory.now())
    finally:
        directory.close()
    repository = CodeRepository(call.cwd, os.environ)
    guard = Guard(repository, leases, me and me.id, heads(sessions, place))
    if guard.idle:
        return 0
    if call.options.hook == "pre-push":
        found, what = guard.push(*_pushed(sys.stdin.buffer.read())), "nothing was pushed"
    else:
        main = [] if place.git_dir == place.common_dir else ["main-worktree/HEAD"]
        found, what = guard.commit(_merged(place), main), "nothing was committed"
    if found:
        raise Refused("owned", refusal(found, what))
    return 0


def _place(call: Call) -> Place:
    """Where git runs this hook. There need be no ledger: then nobody owns anything."""
    from swarm_ledger.place import find, of_git_dir

    git_dir = os.environ.get("GIT_DIR")
    if git_dir:
        return of_git_dir(os.path.join(call.cwd, git_dir), call.cwd, call.home)
    place = find(call.cwd, call.home)
    if place is None or place.git_dir is None:
        raise NotFound("this is for git's hooks, which run in a repository; `swarm guard install` puts them in.")
    return place._replace(git_dir=os.path.realpath(place.git_dir))


def _merged(place: Place) -> list[str]:
    """The heads that the commit about to be made merges."""
    try:
        with open(f"{place.git_dir}/MERGE_HEAD", encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        # While `git merge` makes the commit itself, only its environment names them.
        return [name.removeprefix("GITHEAD_") for name in os.environ if name.startswith("GITHEAD_")]


def _pushed(lines: bytes) -> tuple[list[str], list[str]]:
    """What is pushed, and what the remote has in its place; a deletion pushes nothing."""
    tips, there = [], []
    for line in lines.decode().splitlines():
        _, ours, _, theirs = line.rsplit(" ", 3)
        tips += [ours] if ours.strip("0") else []
        there += [theirs] if theirs.strip("0") else []
    return tips, there
