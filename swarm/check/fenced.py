"""The tokens that commits show: one session a token, and numbers that never go back along a line.

With the chain of bases, the requests that are in history once, and the entries that each commit names (`history`),
this is what can be proved of the leases from history alone. Where two hosts were merged their tokens have no order
between them, so what comes after is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .subject import Subject

__all__ = ["fenced"]


def fenced(subject: Subject) -> Iterator[Finding]:
    """Each commit was made under a token that nobody else had, and that was the newest of its line."""
    sessions: dict[str, str] = {}
    newest: dict[str, tuple[int, int]] = {}
    for commit in subject.commits:
        if len(commit.parents) > 1:
            return
        session = dict(commit.trailers).get("Session", "")
        entries = {value for name, value in commit.trailers if name == "Entry"}
        for fence in (value for name, value in commit.trailers if name == "Fence"):
            line, _, token = fence.rpartition(" ")
            generation, _, epoch = token.partition(".")
            if not (line and generation.isdecimal() and epoch.isdecimal()):
                yield Finding("error", "fence", commit.id, f"{fence!r} is no line and token")
                continue
            number = int(generation), int(epoch)
            owner = sessions.setdefault(token, session)
            if owner != session:
                yield Finding("error", "fence", commit.id, f"shows token {token}, which session {owner} had")
            if line not in entries:
                yield Finding("error", "fence", commit.id, f"shows a token for {line}, which it does not write")
            if number < newest.get(line, number):
                then = "{}.{}".format(*newest[line])
                yield Finding("error", "fence", commit.id, f"writes {line} under {token}, after {then}")
            newest[line] = max(number, newest.get(line, number))
