"""What a record of use does to recall on conversations: of chance, of a loop, of those who asked the same before."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from swarm.conversation import SCORED, Question, read_conversations
from swarm_indexes.hits import Hit
from swarm_indexes.priors import Uses, placed

from . import talks
from .row import Context, Outcome

__all__ = ["use"]

_KS = (1, 5, 10)
_COST = 0.005
_NOW, _DAY_S = 1_795_258_443.0, 86_400.0
_ROUNDS = 5

_Record = dict[str, Uses]


class _Found(NamedTuple):
    """A question with the 15 hits that a recall of 10 looks at."""

    question: Question
    hits: list[Hit]

    def wanted(self, hit: Hit) -> bool:
        """Whether it is evidence."""
        conversation, turn = talks.named(hit.room, hit.ref)
        return conversation == self.question.conversation and turn in self.question.evidence


def use(context: Context) -> Outcome:
    """Recall with made records of use, less recall without one; one store a conversation, the package's weights."""
    found = _found(context)
    base = _recall(found, {})
    rng = random.Random(5)
    ids = sorted({hit.id for one in found for hit in one.hits})
    chance = [_recall(found, {id: _some(rng) for id in ids if rng.random() < 0.2}) for _ in range(3)]
    worst = min(one - before for part in chance for one, before in zip(part, base, strict=True))
    again = {hit.id: Uses(1, _NOW - 3.5 * _DAY_S) for one in found for hit in one.hits[:5] if one.wanted(hit)}
    out = Outcome(detail={"recall": base, "chance": chance})
    out.add("recall@1, @5, @10 without a record", "shown", ", ".join(f"{value:.3f}" for value in base))
    out.add(
        "a fifth of all entries used by 1 to 16 agents in two weeks, by chance: the worst of 3 draws, @1, @5 or @10",
        f"costs under {_COST}",
        f"{worst:+.4f}",
        worst > -_COST,
    )
    loop = _differences(_recall(found, _loop(found)), base)
    out.add(
        f"whoever asks is shown the first hit, {_ROUNDS} agents one after the other: @1, @5, @10",
        f"costs under {_COST}",
        _listed(loop),
        min(loop) > -_COST,
    )
    out.add(
        "what answers and is among the first five was shown to one agent half a week ago: @1, @5, @10",
        "shown",
        _listed(_differences(_recall(found, again), base)),
    )
    return out


def _found(context: Context) -> list[_Found]:
    talk = read_conversations(context.data)
    out = []
    for number, one in enumerate(talk):
        swarm = talks.load(f"{context.directory}/{number}", context.data, [one], talk)
        scored = [question for question in one.questions if question.category in SCORED]
        out += [_Found(question, swarm.index.search(question.text, k=15)) for question in scored]
        swarm.close()
    return out


def _recall(found: list[_Found], record: Mapping[str, Uses]) -> list[float]:
    def search(one: _Found) -> talks.Search:
        hits = placed(one.hits, record, {}, _NOW)
        return lambda text, k: [talks.named(hit.room, hit.ref) for hit in hits[:k]]

    asked = [talks.ask_all([one.question], search(one))[0] for one in found]
    return [talks.mean(asked, talks.KS.index(k)) for k in _KS]


def _some(rng: random.Random) -> Uses:
    return Uses(rng.randint(1, 16), _NOW - rng.random() * 14 * _DAY_S)


def _loop(found: list[_Found]) -> _Record:
    record: _Record = {}
    for _ in range(_ROUNDS):
        first = {placed(one.hits, record, {}, _NOW)[0].id for one in found if one.hits}
        record |= {id: Uses(record[id].number + 1 if id in record else 1, _NOW) for id in first}
    return record


def _differences(values: list[float], base: list[float]) -> list[float]:
    return [value - before for value, before in zip(values, base, strict=True)]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:+.4f}" for value in values)
