"""The evidence for active facts still stands on the branch of the code that is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..factindex import Fact
from ..verdicts import Evidence, Verdict
from .finding import Finding
from .subject import Subject

__all__ = ["evidence"]

_TITLE = 120
_BAD = ("changed", "gone")


def evidence(subject: Subject) -> Iterator[Finding]:
    """Facts whose evidence changed or is gone; with a branch, those that its own changes did that to.

    A check in which all code is out of reach is an error, for then nothing was checked.
    """
    swarm, branch = subject.swarm, subject.branch
    if swarm is None or not subject.code:
        return
    now = Evidence(swarm, branch.tip if branch else None)
    try:
        verdicts = now.verdicts()
        code = [one for one in verdicts if one.kind == "path"]
        if code and all(one.verdict == "uncheckable" for one in code):
            why = now.unreachable or code[0].why
            yield Finding("error", "evidence", "code", f"none of {len(code)} citations of code could be checked: {why}")
            return
        facts = {fact.id: fact for fact in swarm.facts.facts()}
        verdicts = [one for one in verdicts if one.fact in facts]  # the others were retracted meanwhile
        code = [one for one in code if one.fact in facts]
        if branch is None:
            bad = [one for one in verdicts if one.verdict in _BAD]
            yield from (_finding(facts[one.fact], one, (one.first, one.last)) for one in bad)
            return
        yield from _touched(subject, now, [one for one in code if one.verdict in _BAD], facts)
    finally:
        now.close()


def _touched(subject: Subject, now: Evidence, bad: Sequence[Verdict], facts: Mapping[str, Fact]) -> Iterator[Finding]:
    """Of `bad` what was not so before the branch, each at lines that the branch changed."""
    from ..codetree import Unreadable, changed_files, fork_of

    swarm, branch, tree = subject.swarm, subject.branch, now.tree()
    if swarm is None or branch is None or tree is None or not bad:
        return
    base = fork_of(tree.directory, branch.base, branch.tip)
    before = Evidence(swarm, base)
    try:
        was = {(one.fact, one.nth): one.verdict for one in before.verdicts({one.fact for one in bad})}
        changed = changed_files(tree.directory, base, branch.tip)
    except Unreadable as error:
        message = f"what the branch changes is not known, so all evidence that does not stand is shown: {error}"
        yield Finding("warn", "evidence", base, message)
        was, changed = {}, {one.cited.rpartition(":")[0]: [] for one in bad}
    finally:
        before.close()
    for one in bad:
        path = one.cited.rpartition(":")[0]
        if path in changed and was.get((one.fact, one.nth)) not in _BAD:
            yield _finding(facts[one.fact], one, _lines(one, changed.get(one.path or path, [])))


def _lines(verdict: Verdict, changed: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The changed lines that are nearest to what is left of the cited ones."""
    if verdict.path:
        inside = [
            (max(first, verdict.first), min(last, verdict.last))
            for first, last in changed
            if first <= verdict.last and last >= verdict.first
        ]
        return (inside[0][0], inside[-1][1]) if inside else (verdict.first, verdict.last)
    first, _, last = verdict.cited.rpartition(":")[2].partition("-")
    middle = (int(first) + int(last or first)) // 2 if first.isdigit() else 1
    return min(changed, key=lambda span: abs(span[0] - middle), default=(0, 0))


def _finding(fact: Fact, verdict: Verdict, lines: tuple[int, int]) -> Finding:
    title = fact.title if len(fact.title) <= _TITLE else fact.title[: _TITLE - 1] + "…"
    what = "is gone" if verdict.verdict == "gone" else f"changed ({verdict.why})"
    message = (
        f"{fact.id}, which {fact.by} recorded, rests on {verdict.cited}, which {what}. It says: {title!r}. "
        f"If that no longer holds: swarm supersede {fact.id} NEW-TITLE --cite PATH:FIRST-LAST, or swarm retract "
        f"{fact.id} --why TEXT; if it does, supersede it with the same title and --cite what shows it now."
    )
    file = verdict.path or (verdict.cited.rpartition(":")[0] if verdict.kind == "path" and lines[0] else "")
    return Finding("error", "evidence", fact.path, message, file, *lines if file else (0, 0))
