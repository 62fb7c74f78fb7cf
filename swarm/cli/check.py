"""Look at every file and commit of the ledger: is each entry valid and in its place, does each link lead somewhere,
did history do what it says, did another git remove anything, did a secret get in? Does the evidence for each fact stand
on this branch, does one contest another, is one out of date? Exit code 1 where an error is found. The settings of the
ledger, swarm.yaml, may say how bad each rule is: `check: {evidence: warn, expired: off}`.

With --ref or --since at a branch of the code, before it is merged: which facts rest on lines that it changes, and does
it write what somebody else owns? That finds what git's hooks could not see. Leases are kept where the agents work;
elsewhere give them by --leases. With --as NAME what NAME owns is NAME's to write.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from swarm_ledger.errors import BadInput

from .call import Call
from .output import counted, say, say_json

if TYPE_CHECKING:
    from swarm.check import Branch, Finding

EXAMPLE = """
swarm check
swarm check --ref topic --since main --as ada
ssh build swarm leases --json | swarm check --since origin/main --leases - --format github
"""
_ORIGIN = "refs/remotes/origin/HEAD"
_SUMMARY_BYTES = 900_000
"""GitHub shows nothing at all of a summary of more than a mebibyte."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at, and how to print."""
    parser.add_argument("--ref", metavar="REV", help="the branch of the code (with --since alone: HEAD)")
    parser.add_argument("--since", metavar="REV", help="what it is to be merged into (default: origin's main branch)")
    parser.add_argument("--ledger", action="store_true", help="at the ledger alone, where there is no code")
    parser.add_argument("--leases", metavar="FILE", help="what `swarm leases --json` printed where the agents work")
    parser.add_argument(
        "--format", choices=["text", "json", "github"], default="text", help="json is the same as --json"
    )


def run(call: Call) -> int:
    """Check, and print what was found."""
    from swarm.check import check

    options = call.options
    branch = _branch(call) if (options.ref, options.since) != (None, None) else None
    report = check(call.swarm.store, branch, call.swarm, code=not options.ledger)
    if call.json or options.format == "json":
        findings = [asdict(finding) for finding in report.findings]
        totals = {"ok": report.ok, "entries": report.entries, "commits": report.commits}
        say_json({**totals, "findings": findings, "unseen": report.unseen})
        return 0 if report.ok else 1
    # GitHub shows ten errors and ten warnings of a step: those on lines that the branch changes come first.
    found = sorted(report.findings, key=lambda one: branch is not None and not one.file)
    for finding in found:
        if options.format == "github":
            say(_annotation(finding))
        else:
            say(f"{finding.severity}: {finding.where}: {finding.message} [{finding.rule}]")
    errors = sum(finding.severity == "error" for finding in report.findings)
    total = (
        f"{counted(report.entries, 'entry')}, {counted(report.commits, 'commit')}: "
        f"{counted(errors, 'error')}, {counted(len(report.findings) - errors, 'warning')}."
    )
    total = " ".join((total, *report.unseen))
    say(total)
    if options.format == "github" and (path := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(path, "a", encoding="utf-8") as file:
            file.write(_summary(found, total))
    return 0 if report.ok else 1


def _branch(call: Call) -> Branch:
    """The branch to look at, and who owns what. Raises NotFound, BadInput."""
    from swarm.check import Branch
    from swarm.guard import Guard, LiveLease, heads, told
    from swarm.landing import CodeRepository

    swarm, options = call.swarm, call.options
    repository = CodeRepository(call.cwd, os.environ)
    tip = repository.commit("HEAD" if options.ref is None else options.ref)
    base = repository.known(_ORIGIN) if options.since is None else repository.commit(options.since)
    if base is None:
        raise BadInput("say what the branch is to be merged into, such as --since main: origin tells no main branch.")
    guard = None
    if options.leases or os.path.exists(f"{swarm.place.home}/leases.db"):
        leases = told(_lines(options.leases)) if options.leases else LiveLease.all(swarm.store.directory, swarm.env)
        others = [lease for lease in leases if lease.agent != call.acting and lease.until > swarm.env.now()]
        anywhere = swarm.place._replace(git_dir=None)  # whoever runs this is not who wrote the branch
        guard = Guard(repository, others, None, heads(swarm.sessions, anywhere))
    return Branch(tip, base, guard)


def _lines(path: str) -> list[str]:
    if path == "-":
        return sys.stdin.read().splitlines()
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--leases {path!r} cannot be read: {error}.") from None


def _summary(findings: Sequence[Finding], total: str) -> str:
    """The findings as the markdown of a job's summary; agents' text is data, so nothing of it is markup."""

    def cell(text: str) -> str:
        plain = "".join(char if char.isprintable() else " " for char in text)
        return re.sub(r"[\\`*_{}\[\]<>#|!@~&]", lambda found: f"&#{ord(found[0])};", plain)

    lines = ["## Ledger", "", total, ""]
    if findings:
        lines += ["| | rule | where | what |", "|---|---|---|---|"]
    size = 0
    for number, one in enumerate(findings):
        where = f"{one.file}:{one.first}" if one.file and one.first else one.file or one.where
        row = f"| {one.severity} | {one.rule} | {cell(where)} | {cell(one.message)} |"
        size += len(row.encode(errors="replace")) + 1
        if size > _SUMMARY_BYTES:
            lines += ["", f"{len(findings) - number} more are in the log of this step."]
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def _annotation(finding: Finding) -> str:
    """`finding` as GitHub's runners take it from a job's output."""

    def escaped(text: str, more: str = "") -> str:
        for char in f"%\r\n{more}":
            text = text.replace(char, f"%{ord(char):02X}")
        return text

    level = "error" if finding.severity == "error" else "warning"
    file = f"file={escaped(finding.file, ':,')}," if finding.file else ""
    if file and finding.first:
        file += f"line={finding.first},endLine={finding.last},"
    where = "" if finding.file else f"{finding.where}: "
    return f"::{level} {file}title={escaped(finding.rule, ':,')}::{escaped(where + finding.message)}"
