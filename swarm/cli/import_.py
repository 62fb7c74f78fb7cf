"""Bring in entries from elsewhere. What is there already is skipped, so an import can be repeated.

conversation  turns of a conversation (LoCoMo's JSON) as log entries of their speakers, with the time they were said
jsonl         what `swarm export` printed, with its ids, authors and times; - reads standard input
git-history   commits of a repository as log entries of their authors, the files they touched as entities
folder        markdown files, with front matter or without, as facts; the first heading is the title
project       plan/*.md as plans, overview-memory.md as facts, agent-logs/ as log entries of those agents
"""

from __future__ import annotations

import argparse
import sys

from swarm_ledger.env import storage_error
from swarm_ledger.errors import BadInput, NotFound

from .call import Call
from .output import counted, say, say_json

EXAMPLE = """
swarm import conversation talks.json
swarm import jsonl ledger.jsonl
swarm import git-history .
swarm import folder docs/notes --dry-run
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The format and the file."""
    parser.add_argument("format", choices=["conversation", "jsonl", "git-history", "folder", "project"])
    parser.add_argument("file", metavar="PATH")
    parser.add_argument("--dry-run", action="store_true", help="folder, project: say what would be written")


def run(call: Call) -> int:
    """Import it."""
    options = call.options
    if options.format in ("folder", "project"):
        return _run_folder(call)
    if options.dry_run:
        raise BadInput(f"--dry-run is for folder and project; an import of {options.format} can be repeated as it is.")
    from swarm.exchange import import_entries

    if options.format == "conversation":
        from swarm.talks import import_conversations

        done = import_conversations(call.swarm, options.file)
    elif options.format == "git-history":
        from swarm.githistory import import_git_history

        done = import_git_history(call.swarm, options.file)
    elif options.file == "-":
        done = import_entries(call.agent, call.swarm.store, sys.stdin.buffer)
    else:
        agent = call.agent
        try:
            with open(options.file, "rb") as file:
                done = import_entries(agent, call.swarm.store, file)
        except FileNotFoundError:
            raise NotFound(f"{options.file}: no such file; give the path of what `swarm export` printed.") from None
        except IsADirectoryError:
            raise BadInput(f"{options.file} is a directory; give the file that `swarm export` printed.") from None
        except OSError as error:
            raise storage_error(error, f"reading {options.file}") from None
    if call.json:
        differing = list(done.differing)
        say_json(
            {"written": done.written, "skipped": done.skipped, "differing": differing, "refused": dict(done.refused)}
        )
    else:
        say(f"{counted(done.written, 'entry')} written, {done.skipped} there already.")
        for id in done.differing:
            say(f"left as it is: {id} is there already with another text.")
        for name, why in done.refused:
            say(f"not imported: {name}: {why}")
    return 1 if done.differing or done.refused else 0


def _run_folder(call: Call) -> int:
    from swarm.folders import import_folder, import_project

    options = call.options
    bring = import_folder if options.format == "folder" else import_project
    done = bring(call.swarm, call.agent, options.file, dry_run=options.dry_run)
    if call.json:
        say_json(done._asdict())
    else:
        for name, id in done.written if options.dry_run else ():
            say(f"would become {id}: {name}")
        would = "would be " if options.dry_run else ""
        say(f"{counted(len(done.written), 'entry')} {would}written, {done.skipped} there already.")
        for name, id in done.differing:
            say(f"left as it is: {name}: {id} is there already with another text.")
        for name, why in done.problems.items():
            say(f"not imported: {name}: {why}")
    return 1 if done.differing or done.problems else 0
