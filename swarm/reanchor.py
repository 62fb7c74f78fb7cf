"""Citations that moved, written down where they are now; and what a changed one says instead."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger.errors import Conflict, Expired, Fenced, NotFound, Owned
from swarm_ledger.ids import path_of

from .verdicts import Evidence, Verdict

if TYPE_CHECKING:
    from .agent import Agent, Written
    from .codetree import CodeTree

__all__ = ["Verified", "difference", "verify"]

_SHOWN = 12
"""Lines of a difference."""


class Verified(NamedTuple):
    """What was looked at, and the writes that recorded where moved citations are now."""

    verdicts: Sequence[Verdict]
    written: Sequence[Written] = ()
    unreachable: str = ""
    """Why no code at all could be looked at."""
    hindered: Mapping[str, str] = MappingProxyType({})
    """Id → why where its moved citations are now was not recorded."""

    @property
    def code(self) -> Sequence[Verdict]:
        """Those on code."""
        return [one for one in self.verdicts if one.kind == "path"]

    @property
    def ok(self) -> bool:
        """Whether nothing changed or is gone, not all of the code was out of reach, and all was written."""
        bad = any(one.verdict in ("changed", "gone") for one in self.verdicts)
        unseen = self.code and all(one.verdict == "uncheckable" for one in self.code)
        return not bad and not unseen and not self.hindered


def verify(evidence: Evidence, ids: Sequence[str] = (), fix: Agent | None = None) -> Verified:
    """The verdicts on what those of `ids`, or all active facts, cite; `fix` records moved ones as a new version.

    What somebody owns or changes meanwhile is left, and named. Raises BadInput for what is no id, NotFound for an
    entry that is not there.
    """
    store = evidence.store
    for id in ids:
        if store.read(path_of(id)) is None:
            raise NotFound(f"no entry {id} in this ledger; `swarm recall` finds entries by their words.")
    verdicts = evidence.verdicts(ids or None)
    written = []
    hindered: dict[str, str] = {}
    moved: dict[str, dict[int, Verdict]] = {}
    for one in verdicts:
        if one.verdict == "moved":
            moved.setdefault(one.fact, {})[one.nth] = one
    for id, which in moved.items() if fix else ():
        tree = evidence.tree()
        try:
            if fix and tree and (done := _mend(fix, tree, id, which)):
                written.append(done)
        except (Conflict, Owned, Fenced, Expired) as error:
            hindered[id] = str(error).splitlines()[0]
            if isinstance(error, Conflict) and error.draft:
                with contextlib.suppress(OSError):
                    os.unlink(error.draft)  # nobody wrote it
    if written or hindered:
        verdicts = evidence.verdicts(ids or None)
        moved_still = {one.fact for one in verdicts if one.verdict == "moved"}
        hindered = {id: why for id, why in hindered.items() if id in moved_still}  # others may have done it meanwhile
    return Verified(verdicts, written, evidence.unreachable, hindered)


def difference(evidence: Evidence, verdict: Verdict) -> list[str]:
    """What a changed citation said and what is there now, as a few lines; only the new ones where the old are gone."""
    tree = evidence.tree()
    text = tree.text(verdict.path) if tree and verdict.path else None
    if tree is None or text is None:
        return []
    now = [line.decode(errors="replace") for line in text.lines[verdict.first - 1 : verdict.last]]
    fields = evidence.citation(verdict)
    old = tree.of_commit(str(fields.get("commit")), str(fields.get("path"))) if fields.get("commit") else None
    lines = fields.get("lines")
    if old and isinstance(lines, list):
        was = [line.decode(errors="replace") for line in old.lines[lines[0] - 1 : lines[1]]]
        shown = [line.rstrip("\n") for line in unified_diff(was, now, n=0, lineterm="")][2:]
        shown = [line for line in shown if not line.startswith("@@")]
    else:
        shown = [f"+{line}" for line in now]
    more = len(shown) - _SHOWN
    return shown if more <= 0 else [*shown[:_SHOWN], f"… {more} more lines"]


def _mend(agent: Agent, tree: CodeTree, id: str, moved: Mapping[int, Verdict]) -> Written | None:
    from .codetree import texts
    from .evidence import anchored
    from .reader import document

    version = agent.store.read(path_of(id))
    if version is None:
        return None
    citations = document(version).fields.get("citations")
    new = list(citations) if isinstance(citations, list) else []
    for nth, verdict in moved.items():
        for path, text in texts(tree, [verdict.path]):
            kept = {name: value for name, value in new[nth].items() if name not in _ANCHOR}
            new[nth] = {**kept, **anchored(tree, path, text, verdict.first, verdict.last)}
    return agent.edit(id, fields={"citations": new}, base=version.blob)


_ANCHOR = ("path", "lines", "commit", "sha256", "loose", "marks", "copies", "rivals")
