"""What ranks beside the question: whether a hit was of use lately, whether it stands, and what says nothing.

Parts are log-odds, added to those of a hit's chance. They are small, so that only hits change places whose chances are
near: what is of use to a dozen agents every day gains a fifth of its odds, what is in doubt keeps half of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log2
from typing import TYPE_CHECKING, NamedTuple

from .hits import successors_first

if TYPE_CHECKING:
    from swarm_ledger.standing import Standing

    from .hits import Hit

__all__ = ["HALF_LIFE_DAYS", "Uses", "placed", "strength"]

HALF_LIFE_DAYS = 7.0
"""After so many days without use a strength is half of what it was."""
_USE = 0.1
"""The part of a strength of 1. A hundred uses today have a strength of 1.7, ten thousand one of 2.3."""
_DOUBT = -0.7
"""The part of evidence that changed or is gone, and again of being contested: half the odds."""

_BARE = -1.4
"""The part of an entity's page that has no text: it has the words of a question, being a name, and answers none."""

_DAY_S = 86_400.0


class Uses(NamedTuple):
    """How often an entry was of use, each agent counting once a day, and when last, in POSIX seconds."""

    number: int
    last: float


def strength(uses: Uses, now: float) -> float:
    """How strong a memory `uses` leave: 0.5 ^ (days since the last / half-life) · (1 + 0.1 · log2(number + 1)).

    The formula and the half-life of 7 days are those of hippo-memory, without its weights by emotion and outcome.
    """
    days = max(0.0, now - uses.last) / _DAY_S
    return float(0.5 ** (days / HALF_LIFE_DAYS)) * (1.0 + 0.1 * log2(uses.number + 1))


def placed(hits: Sequence[Hit], used: Mapping[str, Uses], standings: Mapping[str, Standing], now: float) -> list[Hit]:
    """`hits` with how they stand, each where its chance with its parts puts it; the parts are among its shares.

    Hits without a score keep their places.
    """
    out = []
    for hit in hits:
        standing = standings.get(hit.id)
        if standing:
            hit = hit._replace(standing=standing)
        parts = dict(_parts(hit, used.get(hit.id), standing, now)) if hit.score is not None else {}
        if parts and hit.score is not None:
            odds = exp(sum(parts.values()))
            score = hit.score * odds / (1.0 - hit.score + hit.score * odds)
            shown = {name: round(part, 4) for name, part in parts.items()}
            hit = hit._replace(score=score, shares={**hit.shares, **shown})
        out.append(hit)
    if any(hit.score is None for hit in out):
        return out
    return successors_first(sorted(out, key=lambda hit: -(hit.score or 0.0)))


def _parts(hit: Hit, uses: Uses | None, standing: Standing | None, now: float) -> Iterator[tuple[str, float]]:
    if uses:
        yield "use", _USE * strength(uses, now)
    if standing and standing.evidence in ("changed", "gone"):
        yield f"evidence_{standing.evidence}", _DOUBT
    if standing and (standing.rivals or standing.contested):
        yield "contested", _DOUBT
    if hit.kind == "entity" and hit.whole and not hit.snippet:
        yield "bare_page", _BARE
