"""Look at every file and commit of the ledger: is each entry valid and in its place, does each link lead somewhere,
did history do what it says, did another git remove anything? Exit code 1 where not."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from .call import Call
from .output import counted, say, say_json

EXAMPLE = """
swarm check
swarm check --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How to print."""
    parser.add_argument("--format", choices=["text", "json"], default="text", help="json is the same as --json")


def run(call: Call) -> int:
    """Check, and print what was found."""
    from swarm.check import check

    report = check(call.swarm.store)
    if call.json or call.options.format == "json":
        findings = [asdict(finding) for finding in report.findings]
        say_json({"ok": report.ok, "entries": report.entries, "commits": report.commits, "findings": findings})
    else:
        for finding in report.findings:
            say(f"{finding.severity}: {finding.where}: {finding.message} [{finding.rule}]")
        errors = sum(finding.severity == "error" for finding in report.findings)
        say(
            f"{counted(report.entries, 'entry')}, {counted(report.commits, 'commit')}: "
            f"{counted(errors, 'error')}, {counted(len(report.findings) - errors, 'warning')}."
        )
    return 0 if report.ok else 1
