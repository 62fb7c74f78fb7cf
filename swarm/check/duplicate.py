"""Active facts that say the same: two who write it at the same moment both pass the gate, and so do two clones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from ..saying import SHARED, alike, said_in, words
from .finding import Finding
from .subject import Subject

__all__ = ["duplicate"]

_COMMON = 100
"""What more facts than this share tells nothing of them."""


def duplicate(subject: Subject) -> Iterator[Finding]:
    """Each fact that says what one before it says, but those that somebody forced in with a reason."""
    if subject.gates["duplicate"] == "off":
        return
    facts, sketches = subject.entries.facts, subject.entries.sketches
    sharing: dict[int, list[str]] = {}
    for path, few in sketches.items():
        for number in few:
            sharing.setdefault(number, []).append(path)
    pairs = Counter(pair for paths in sharing.values() if len(paths) <= _COMMON for pair in combinations(paths, 2))
    near = sorted(
        pair for pair, number in pairs.items() if number >= min(SHARED, *(len(sketches[one]) for one in pair))
    )
    texts = subject.texts([*{path for pair in near for path in pair}])
    said = {path: words(said_in(text)) for path, text in texts}
    forced, found = subject.forced("duplicate"), set[str]()
    for one, other in near:
        if other not in found and facts[other] not in forced and alike(said[one], said[other]):
            found.add(other)
            message = f"{facts[other]} says what {facts[one]} says; swarm supersede {facts[other]} --by {facts[one]}"
            yield Finding("warn", "duplicate", other, message)
