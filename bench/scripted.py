"""Verdicts on scripted edits: 2,000 a project, each held against what the script knows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from swarm.anchor import Anchor, Text, anchor_of, fields_of, read_anchor, split_lines
from swarm.codetree import holders_of
from swarm.judge import Judgement, in_place, judge, places, settle

from .edits import EDITS, Case, Lines, make

__all__ = ["Outcome", "Scripted"]


class Outcome(NamedTuple):
    """One case, and the verdict on it."""

    case: Case
    said: Judgement

    @property
    def right(self) -> bool:
        """Verdict and place."""
        if self.said.verdict != self.case.verdict:
            return False
        return self.case.place is None or (self.said.place is not None and self.said.place[:3] == self.case.place)

    @property
    def wrong_copy(self) -> bool:
        """Called moved, to a place where the text is but not the span."""
        return self.said.verdict == "moved" and not self.right


class Scripted:
    """A project's files, and edits of them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.tree: dict[str, Lines] = {path: split_lines(data) for path, data in files.items()}
        self.texts = {path: Text(b"", lines) for path, lines in self.tree.items()}
        self.holding: dict[int, list[str]] = {}
        for path, text in self.texts.items():
            for mark in set(text.dense):
                self.holding.setdefault(mark, []).append(path)

    def run(self, rng: random.Random, number: int) -> list[Outcome]:
        """`number` cases, of each kind of edit as many."""
        kinds = [*EDITS]
        out: list[Outcome] = []
        while len(out) < number:
            case = make(rng, self.tree, kinds[len(out) % len(kinds)])
            if case:
                out.append(Outcome(case, self._judge(case)))
        return out

    def _judge(self, case: Case) -> Judgement:
        own_text = self.texts[case.path]
        anchor = anchor_of(case.path, own_text, case.first, case.last)
        twins = [(path, self.texts[path]) for path in holders_of(anchor, self.holding)]
        anchor = self.read_back(settle(anchor, own_text, twins))
        changed = {path: _text(lines, case.crlf) for path, lines in case.changed.items()}
        own = changed[case.path] if case.path in changed else self.texts[case.path]
        if own and in_place(anchor, own):
            return Judgement(
                "fresh", next(place for place in places(anchor, case.path, own) if place.first == case.first)
            )
        now = {
            mark: [path for path in self.holding.get(mark, ()) if path not in changed]
            + [path for path, text in changed.items() if text and mark in text.where]
            for part in (anchor.span, anchor.before, anchor.after, anchor.scope)
            for mark in part
        }
        paths = holders_of(anchor, now)
        others = ((path, text) for path in paths if (text := changed.get(path) or self.texts[path]))
        return judge(anchor, own, others)

    @staticmethod
    def read_back(anchor: Anchor) -> Anchor:
        """`anchor` as a citation's fields give it."""
        again = read_anchor(fields_of(anchor))
        assert again is not None
        return again


def _text(lines: Lines | None, crlf: bool) -> Text | None:
    return None if lines is None else Text((b"\r\n" if crlf else b"\n").join([*lines, b""]))


def wrong(outcomes: list[Outcome]) -> Counter[tuple[str, str, str]]:
    """(edit, right verdict, verdict given) → how often."""
    return Counter((one.case.kind, one.case.verdict, one.said.verdict) for one in outcomes if not one.right)
