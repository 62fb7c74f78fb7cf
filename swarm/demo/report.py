"""What came of the demonstration, as text for people and as data for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarm.conversation import Recall
from swarm_ledger.git import git
from swarm_ledger.refs import BRANCH

from .crew import Work
from .recount import Recount

__all__ = ["Outcome", "Shown", "figures", "scores", "table", "tree"]

_SHOWN = 5
"""So many lines of a list are shown; how many more there are is said."""

_WRITES = {"log": "log entries", "remember": "facts", "edit": "edits", "page": "shared pages"}
_READS = {"show": "shows", "recall": "recalls"}
_DEPTH, _CHILDREN = 6, 4


@dataclass(frozen=True)
class Shown:
    """The end of it: `text` for people, `data` for programs; `good` unless something is lost, twice or damaged."""

    text: str
    data: dict[str, object]
    good: bool


@dataclass(frozen=True)
class Outcome:
    """What the processes did, and what became of it: for each ledger a recount and what fsck said."""

    work: Work
    counted: Mapping[str, Recount]
    found: Mapping[str, str]

    @property
    def acknowledged(self) -> int:
        """Writes that were acknowledged."""
        return sum(one.acknowledged for one in self.counted.values())

    @property
    def lost(self) -> list[str]:
        """Acknowledged, and not in a fresh clone."""
        return [text for one in self.counted.values() for text in one.lost]

    @property
    def duplicated(self) -> list[str]:
        """In a fresh clone more than once."""
        return [text for one in self.counted.values() for text in one.duplicated]

    @property
    def fsck(self) -> str:
        """ "clean", or what git had to say."""
        return "\n".join(said for said in self.found.values() if said != "clean") or "clean"

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, refused or damaged."""
        return not (self.lost or self.duplicated or self.work.refused) and self.fsck == "clean"


def figures(outcome: Outcome) -> dict[str, object]:
    """The table as data."""
    work = outcome.work
    return {
        "acknowledged": outcome.acknowledged,
        "lost": len(outcome.lost),
        "duplicated": len(outcome.duplicated),
        "refused": len(work.refused),
        "conflicts": work.conflicts,
        "did": work.did,
        "seconds": round(work.seconds, 3),
        "writes_per_s": round(len(work.latencies) / work.seconds, 1) if work.seconds else 0.0,
        "p50_ms": round(work.latency_ms(0.5), 2),
        "p99_ms": round(work.latency_ms(0.99), 2),
        "fsck": outcome.fsck,
    }


def table(outcome: Outcome) -> str:
    """What was acknowledged, and what of it a fresh clone holds."""
    work, said = outcome.work, figures(outcome)
    rows = [
        ("acknowledged", f"{outcome.acknowledged:,}", f"on disk before the call returned: {_did(work)}"),
        ("lost", f"{len(outcome.lost):,}", "not in a fresh clone"),
        ("duplicated", f"{len(outcome.duplicated):,}", "in it more than once"),
        ("refused", f"{len(work.refused):,}", "for another reason than a conflict"),
        ("conflicts", f"{work.conflicts:,}", "two edits of one page: surfaced with both texts, done again"),
        ("writes/s", f"{said['writes_per_s']:,.0f}", f"in {work.seconds:.1f} s{_reads(work)}"),
        ("p50, p99", f"{said['p50_ms']:.0f}, {said['p99_ms']:.0f} ms", "of a write, as its agent sees it"),
        ("git fsck", outcome.fsck, ""),
    ]
    lines = [f"{name:14}{value:>12}  {note}".rstrip() for name, value, note in rows]
    for name, texts in (("lost", outcome.lost), ("duplicated", outcome.duplicated), ("refused", work.refused)):
        lines += [f"{name}: {text}" for text in _first(texts)]
    return "\n".join(lines)


def scores(turns: Mapping[str, int], recalls: Mapping[str, Recall], everything: Recall) -> str:
    """Recall of the turns that hold the answer, for each conversation and for all questions together."""
    ks = list(everything.at)
    width = max(len(name) for name in [*recalls, "conversation"])
    head = f"{'conversation':{width}}  {'turns':>6}  {'questions':>9}" + "".join(f"  {f'recall@{k}':>9}" for k in ks)
    lines = [head]
    for name, recall in {**recalls, "all": everything}.items():
        count = turns[name] if name in turns else sum(turns.values())
        line = f"{name:{width}}  {count:6,}  {recall.questions:9,}"
        lines.append(line + "".join(f"  {recall.at[k]:9.3f}" for k in ks))
    return "\n".join(lines)


def tree(clone: str) -> str:
    """The directories of a ledger, some levels deep, with the number of files in each."""
    listed = git(clone, "ls-tree", "-r", "-z", "--name-only", BRANCH).decode(errors="replace").split("\0")[:-1]
    return "\n".join(_branch([path.split("/") for path in listed], ""))


def _branch(paths: Sequence[Sequence[str]], indent: str, depth: int = 0) -> list[str]:
    below: dict[str, list[Sequence[str]]] = {}
    files = []
    for path in paths:
        if len(path) > 1:
            below.setdefault(path[0], []).append(path[1:])
        else:
            files.append(path[0])
    lines = []
    for name, inside in list(below.items())[: _CHILDREN if depth else None]:
        shown, rest = name, inside
        while len({path[0] for path in rest}) == 1 and len(rest[0]) > 1:  # a directory with one directory in it
            shown, rest = f"{shown}/{rest[0][0]}", [path[1:] for path in rest]
        files_in = f"{len(rest):,} file{'s' if len(rest) > 1 else ''}"
        lines.append(f"{indent}{shown}/".ljust(40) + f" {files_in}")
        if depth < _DEPTH:
            lines += _branch(rest, indent + "  ", depth + 2)
    if depth and len(below) > _CHILDREN:
        lines.append(f"{indent}… and {len(below) - _CHILDREN} directories more")
    some = files if not depth else files[:2]
    lines += [f"{indent}{name}" for name in some]
    if len(files) > len(some):
        lines.append(f"{indent}… and {len(files) - len(some):,} files more")
    return lines


def _did(work: Work) -> str:
    return ", ".join(f"{work.did[verb]:,} {name}" for verb, name in _WRITES.items() if verb in work.did)


def _reads(work: Work) -> str:
    said = ", ".join(f"{work.did[verb]:,} {name}" for verb, name in _READS.items() if verb in work.did)
    return f", with {said} beside it" if said else ""


def _first(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _SHOWN
    return [*texts[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])]
