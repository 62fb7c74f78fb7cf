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
_NONE = 1e-6
"""How likely these are beside the best, if they are all near an entry: rounding leaves a little."""


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
    """How like the best each is, those near it apart: the mean cosine, weighted by how likely these are."""
    weight = {word: idf * idf for word, idf in words.idf.items()}
    length = [sqrt(sum(weight[word] for word in one)) or 1.0 for one in sets]
    best = sorted(range(len(sets)), key=lambda place: -likely[place])[:_BEST]
    total = sum(likely[place] for place in best)
    mean: dict[int, float] = defaultdict(float)
    for place in best:
        for word in sets[place]:
            mean[word] += likely[place] / length[place] * weight[word]
    out = []
    for place, one in enumerate(sets):
        found, others = sum(mean[word] for word in one & mean.keys()), total
        for other in set(best).intersection(near[place]):
            found -= likely[other] / length[other] * sum(weight[word] for word in one & sets[other])
            others -= likely[other]
        out.append(found / length[place] / others if others > _NONE else 0.0)
    return out
