"""A second look at the best: what the first look says of the others, as features.

Evidence stands together: what is near a likely answer, or like one, is likelier. Each entry is weighed by how likely
it is by the first look; see Diaz (2005), "Regularizing ad hoc retrieval scores", for the idea.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from math import exp, log1p, sqrt

from .features import Candidate, Columns
from .matches import DECAY, Matches
from .streams import STREAM_BITS
from .wordsets import Words

__all__ = ["NAMES", "second_look"]

NAMES = ("likely_around", "likely_stream", "alike")
_REACH = len(DECAY) - 1
_BEST = 10
"""Of how many of the best it counts how like them an entry is."""
_SAME = 0.5
"""Above this cosine two say the same. Copies, and entries of one pattern, are no evidence for each other: else a dozen
times "build N passed" came before the one that failed."""


def second_look(
    matches: Matches, rows: Sequence[Candidate], values: Sequence[float], words: Words, asked: Collection[int]
) -> Columns:
    """The features of `rows` that follow from the `values` of the others; `asked` are the words of the question."""
    best = max(values, default=0.0)
    likely = [exp(value - best) for value in values]  # beside the best
    spots = [matches.spots.get(row.n) for row in rows]
    at = {spot: place for place, spot in enumerate(spots) if spot is not None}
    streams: dict[int, float] = defaultdict(float)
    for spot, chance in zip(spots, likely, strict=True):
        if spot is not None:
            streams[spot >> STREAM_BITS] += chance
    said = set(asked)
    around, stream = [], []
    near: list[list[int]] = []
    for place, spot in enumerate(spots):
        beside = [at[other] for step in range(-_REACH, _REACH + 1) if (other := (spot or 0) + step) in at]
        near.append(beside if spot is not None else [place])
        around.append(log1p(sum(likely[other] for other in near[-1] if other != place)))
        stream.append(0.0 if spot is None else log1p(streams[spot >> STREAM_BITS] - likely[place]))
    return {
        "likely_around": around,
        "likely_stream": stream,
        "alike": _alike([words.of.get(row.n, frozenset()) - said for row in rows], words, likely, near),
    }


def _alike(
    sets: Sequence[frozenset[int]], words: Words, likely: Sequence[float], near: Sequence[Sequence[int]]
) -> list[float]:
    """How like the best each is, those apart that are near it or say the same: the mean cosine, weighted by how likely
    these are.
    """
    weight = {word: idf * idf for word, idf in words.idf.items()}
    length = [sqrt(sum(weight[word] for word in one)) or 1.0 for one in sets]
    best = sorted(range(len(sets)), key=lambda place: -likely[place])[:_BEST]
    out = []
    for place, one in enumerate(sets):
        found = others = 0.0
        for other in best:
            if other not in near[place]:
                shared = one & sets[other]
                cosine = sum([weight[word] for word in shared]) / length[place] / length[other] if shared else 0.0
                if cosine <= _SAME:
                    found += likely[other] * cosine
                    others += likely[other]
        out.append(found / others if others else 0.0)
    return out
