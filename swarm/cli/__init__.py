"""The command `swarm`: finds the verb, imports only its module, and turns errors into exit codes.

0 done, 1 checked and found wanting, 2 bad input, 3 conflict, try again, 4 refused by a gate, 5 damaged, 70 a fault
of this program, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from swarm_ledger.errors import BadInput, Damaged, Refused, SwarmError, TryAgain

if TYPE_CHECKING:
    from .call import Verb

__all__ = ["VERBS", "main"]

VERBS = {
    "init": "make the ledger of this repository",
    "join": "become an agent of the swarm in this worktree",
    "status": "where the ledger is, who is in it, what changed since you read it",
    "session": "start over with what counts as read",
    "log": "say what you did or found",
    "remember": "write a fact, plan, task, entity or reflection",
    "show": "read an entry",
    "edit": "change an entry that you have read",
    "supersede": "put a new fact in the place of an old one",
    "retract": "take an entry out and say why",
    "restore": "bring back what was retracted or lost",
    "history": "the versions that an entry had",
    "recall": "search the ledger",
    "about": "what is known of an entity, or by a key",
    "own": "lease documents or code paths before you work on them",
    "release": "give back what you own",
    "handoff": "hand a line that you own over to another agent",
    "steal": "take a line from whoever owns it, and say why",
    "leases": "who owns what",
    "changes": "what changed of that which you have read, and how",
    "check": "is everything in order?",
    "verify": "does the evidence for facts still stand on this branch?",
    "view": "the ledger's files in this worktree, to read and edit",
    "ingest": "take in what was edited by hand in the view",
    "watch": "take in edits by hand as they happen",
    "sync": "exchange the ledger with other clones, through a remote",
    "import": "bring in markdown, a conversation, or an export of another ledger",
    "export": "every entry as JSON lines, or a copy of the files",
    "guard": "refuse commits of what another agent owns",
    "doctor": "look for damage to the store and mend it",
    "gc": "pack the store tightly",
    "reindex": "build the search index anew",
    "git": "run plain git on the ledger",
    "demo": "see sixteen processes share one ledger",
}
"""Verb → what it is for; each is a module of this package."""

_LATER = frozenset(
    {
        *("plan", "next", "done", "fail", "block", "reopen", "erase", "brief", "tui", "mcp"),
        *("setup", "hook", "ask", "latent", "memory"),
    }
)
"""Verbs of later versions."""
_CODES: tuple[tuple[type[SwarmError], int], ...] = ((BadInput, 2), (TryAgain, 3), (Refused, 4), (Damaged, 5))
_USAGE = "swarm [--as NAME] VERB …; `swarm help` lists the verbs, `swarm help VERB` shows one."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Nothing but output is raised or printed: no traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except SwarmError as error:
        from .output import report

        report(error, as_json)
        return next((code for kind, code in _CODES if isinstance(error, kind)), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # What is left in the buffer would raise again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        from .crash import keep

        return keep(error, arguments)


def _run(arguments: list[str]) -> int:
    acting: str | None = None
    options: list[str] = []
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if option in ("-h", "--help"):
            return _help([])
        if option == "--version":
            from swarm._version import __version__

            print(f"swarm {__version__}")
            return 0
        name, given, value = option.partition("=")
        if option == "--json":
            options.append(option)
        elif name == "--as":
            if not given and not arguments:
                raise BadInput("--as needs the name of an agent: swarm --as NAME VERB …")
            if acting is not None:
                raise BadInput("--as is given more than once; give the one that is meant.")
            acting = value if given else arguments.pop(0)
        else:
            raise BadInput(f"{option!r} is not understood here; {_USAGE}")
    if not arguments or arguments[0] == "help":
        return _help(arguments[1:])
    verb, *rest = arguments
    module = _module(verb)
    from .call import Call, parse

    if verb == "git":  # whose arguments are git's
        call = Call(Namespace(arguments=rest), acting)
    else:
        try:
            call = parse(verb, module, [*options, *rest], acting)
        except SystemExit:  # after --help
            return 0
    try:
        code = module.run(call)
        call.notice()
        return code
    finally:
        call.close()


def _module(verb: str) -> Verb:
    if verb in _LATER:
        from swarm._version import __version__

        raise BadInput(f"`swarm {verb}` is not in this version ({__version__}); `swarm help` lists what is.")
    if verb not in VERBS:
        from difflib import get_close_matches

        near = get_close_matches(verb, VERBS, 1)
        raise BadInput(f"there is no verb {verb[:60]!r}{f'; did you mean {near[0]}?' if near else f'; {_USAGE}'}")
    return cast("Verb", import_module(f".{verb}_" if verb == "import" else f".{verb}", __name__))


def _help(words: list[str]) -> int:
    verbs = [word for word in words if not word.startswith("-")]
    if verbs:
        from .call import parser_of

        parser_of(verbs[0], _module(verbs[0])).print_help()
        return 0
    print(f"usage: {_USAGE}\n")
    for verb, summary in VERBS.items():
        print(f"  {verb:<10} {summary}")
    print(
        "\nEvery verb but git takes --json. Who you are: --as NAME, else SWARM_AGENT, else who joined in this worktree."
    )
    print("Try: swarm init && swarm join backend && swarm log 'here I am' && swarm recall here")
    return 0
