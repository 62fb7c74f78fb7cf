"""Recall on conversations, beside raw search engines: one store each, and all in one. Weights are cross-validated."""

from __future__ import annotations

import glob
import hashlib
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from swarm.api import Swarm
from swarm.conversation import SCORED, Conversation, Question, read_conversations
from swarm_indexes.embedder import Embedder
from swarm_indexes.lexical import Fts5Index
from swarm_indexes.ranking import Weights, weights
from swarm_indexes.sentences import SentenceModel

from . import fitting, talks
from .peers import PEERS, Answer
from .row import Context, Outcome

__all__ = ["conversations", "tuned"]

_RESAMPLES = 1000
_TARGETS = {1: 0.50, 5: 0.76, 10: 0.83}
_POOLED_TARGET = 0.80
_PEER_MS = 10.0
_OURS, _WITH_MEANING = "swarm", "swarm with meaning"


def _index(swarm: Swarm, model: Weights | None = None, embedder: Embedder | None = None) -> Fts5Index:
    return Fts5Index(f"{swarm.place.home}/index/lexical.db", swarm.store, swarm.env, model, embedder)


def _names(embedder: Embedder | None) -> list[str]:
    return [*weights(embedder is not None).features, *fitting.FOR_CHANCE]


def _samples(
    swarm: Swarm, questions: Sequence[Question], embedder: Embedder | None, *, answered: bool = True
) -> list[fitting.Sample]:
    asked = [
        (one.text, {(one.conversation, dia_id) for dia_id in one.evidence} if answered else set()) for one in questions
    ]
    return fitting.samples(_index(swarm, embedder=embedder), _names(embedder), asked)


def _scored(one: Conversation) -> list[Question]:
    return [question for question in one.questions if question.category in SCORED]


def _unscored(one: Conversation) -> list[Question]:
    return [question for question in one.questions if question.category not in SCORED]


def tuned(directory: str, path: str, embedder: Embedder | None = None) -> Weights:
    """The weights that the conversations in the file at `path` give, all of them."""
    found = read_conversations(path)
    given: list[fitting.Sample] = []
    without: list[fitting.Sample] = []
    for number, one in enumerate(found):
        swarm = talks.load(f"{directory}/{number}", path, [one], found)
        given += _samples(swarm, _scored(one), embedder)
        without += _samples(swarm, _unscored(one), embedder, answered=False)
        swarm.close()
    return fitting.model(_names(embedder), given, without)


def _others(parts: Sequence[list[fitting.Sample]], held: int) -> list[fitting.Sample]:
    return [sample for other, part in enumerate(parts) if other != held for sample in part]


def _fitted(found: Sequence[Conversation], swarms: Sequence[Swarm], embedder: Embedder | None) -> list[Weights]:
    """For each conversation the weights that the others give."""
    pairs = list(zip(found, swarms, strict=True))
    given = [_samples(swarm, _scored(one), embedder) for one, swarm in pairs]
    without = [_samples(swarm, _unscored(one), embedder, answered=False) for one, swarm in pairs]
    return [fitting.model(_names(embedder), _others(given, held), _others(without, held)) for held in range(len(found))]


def conversations(context: Context) -> Outcome:
    """Recall, latency and abstention on the conversations of the data file, cross-validated by conversation."""
    path = context.data
    found = read_conversations(path)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    swarms = [talks.load(f"{context.directory}/{number}", path, [one], found) for number, one in enumerate(found)]
    out = Outcome(detail={"sha256": digest, "conversations": len(found)})
    embedders: dict[str, Embedder | None] = {_OURS: None}
    if context.embedder:
        given = embedders[_WITH_MEANING] = SentenceModel(context.embedder)
        out.detail["embedder"] = given.name
        _embedding(out, swarms, given)
    models = {name: _fitted(found, swarms, embedder) for name, embedder in embedders.items()}
    asked: dict[str, list[talks.Asked]] = {}
    times: dict[str, list[float]] = {}
    for number, (one, swarm) in enumerate(zip(found, swarms, strict=True)):
        engines: dict[str, talks.Search] = {
            name: _ours(_index(swarm, models[name][number], embedder)) for name, embedder in embedders.items()
        }
        entries = _entries([one])
        for name, make in PEERS.items():
            engines[name] = _theirs(make(f"{context.directory}/peer-{number}", entries))
        for name, search in engines.items():
            asked.setdefault(name, []).extend(talks.ask_all(_scored(one), _timed(search, times.setdefault(name, []))))
    for name, answers in asked.items():
        for place, k in enumerate(talks.KS):
            low, high = _interval(answers, place)
            mean = talks.mean(answers, place)
            target = _TARGETS.get(k) if name == _OURS else None
            out.add(
                f"recall@{k}, one store a conversation, {name}",
                f"at least {target:.2f}" if target else "shown",
                f"{mean:.3f} ({low:.3f} to {high:.3f})",
                mean >= target if target else None,
            )
    for name in embedders:
        for category, title in ((1, "multi-hop"), (3, "open-domain")):
            part = [one for one in asked[name] if one.question.category == category]
            low, high = _interval(part, talks.KS.index(10))
            mean = talks.mean(part, talks.KS.index(10))
            out.add(f"recall@10, {title}, {name}", "shown", f"{mean:.3f} ({low:.3f} to {high:.3f})")
    middle = {name: statistics.median(part) * 1e3 for name, part in times.items()}
    out.add(
        "median query at this size",
        f"{_PEER_MS:.0f} ms",
        ", ".join(f"{name} {value:.2f} ms" for name, value in middle.items())
        + f": {middle[_OURS] / middle['SQLite FTS5']:.1f}x FTS5",
        middle[_OURS] <= _PEER_MS,
    )
    for name, embedder in embedders.items():
        pairs = zip(swarms, models[name], strict=True)
        _abstention(out, name, found, [_index(swarm, model, embedder) for swarm, model in pairs])
    _pooled(out, context, path, found, models, embedders)
    for swarm in swarms:
        swarm.close()
    return out


def _embedding(out: Outcome, swarms: Sequence[Swarm], embedder: Embedder) -> None:
    """How long the vectors of all entries take, and how many bytes they are."""
    embedder.embed(["a text, for the model to be loaded"])
    entries, size, began = 0, 0, time.perf_counter()
    for swarm in swarms:
        index = _index(swarm, embedder=embedder)
        index.search("entries")
        entries += sum(index.counts().values())
        index.close()
    spent = time.perf_counter() - began
    for swarm in swarms:
        size += sum(os.path.getsize(name) for name in glob.glob(f"{swarm.place.home}/index/vectors-*.db"))
    out.add(
        "an entry embedded", "shown", f"{spent / entries * 1e3:.1f} ms, {size / entries:.0f} bytes ({entries} entries)"
    )


def _abstention(out: Outcome, name: str, found: Sequence[Conversation], indexes: Sequence[Fts5Index]) -> None:
    """How well the score of the best hit tells questions with an answer from those without (area under the ROC)."""
    good, bad = [], []
    for one, index in zip(found, indexes, strict=True):
        for question in one.questions:
            hits = index.search(question.text, k=1)
            score = hits[0].score or 0.0 if hits else 0.0
            (good if question.category in SCORED else bad).append(score)
    if not bad:
        return
    rng = random.Random(1)
    area = _area(good, bad)
    drawn = sorted(_area(rng.choices(good, k=len(good)), rng.choices(bad, k=len(bad))) for _ in range(_RESAMPLES // 5))
    out.add(
        f"abstention AUROC, category 5 as the unanswerable, {name}",
        "shown",
        f"{area:.3f} ({drawn[len(drawn) // 40]:.3f} to {drawn[-1 - len(drawn) // 40]:.3f})",
    )


def _area(good: Sequence[float], bad: Sequence[float]) -> float:
    ranked = sorted([(score, 1) for score in good] + [(score, 0) for score in bad])
    total, place = 0.0, 0
    while place < len(ranked):  # equal scores share their mean rank
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        total += (place + end + 1) / 2 * sum(is_good for _, is_good in ranked[place:end])
        place = end
    return (total - len(good) * (len(good) + 1) / 2) / (len(good) * len(bad))


def _pooled(
    out: Outcome,
    context: Context,
    path: str,
    found: Sequence[Conversation],
    models: Mapping[str, Sequence[Weights]],
    embedders: Mapping[str, Embedder | None],
) -> None:
    swarm = talks.load(f"{context.directory}/pool", path, found, found)
    peer = _theirs(PEERS["SQLite FTS5"](f"{context.directory}/peer-pool", _entries(found)))
    theirs = talks.ask_all([question for one in found for question in _scored(one)], peer)
    place = talks.KS.index(10)
    for name, embedder in embedders.items():
        answers: list[talks.Asked] = []
        for one, model in zip(found, models[name], strict=True):
            answers += talks.ask_all(_scored(one), _ours(_index(swarm, model, embedder)))
        low, high = _interval(answers, place)
        mean = talks.mean(answers, place)
        out.add(
            f"recall@10, all conversations in one store, {name}",
            f"at least {_POOLED_TARGET:.2f}" if name == _OURS else "shown",
            f"{mean:.3f} ({low:.3f} to {high:.3f}), SQLite FTS5 {talks.mean(theirs, place):.3f}",
            mean >= _POOLED_TARGET if name == _OURS else None,
        )
    swarm.close()


def _entries(found: Sequence[Conversation]) -> list[tuple[str, str]]:
    return [
        (f"{turn.conversation}/{turn.dia_id}", f"{turn.speaker}: {turn.log_text}")
        for one in found
        for turn in one.turns
    ]


def _ours(index: Fts5Index) -> talks.Search:
    return lambda text, k: [talks.named(hit.room, hit.ref) for hit in index.search(text, k=k)]


def _theirs(answer: Answer) -> talks.Search:
    def search(text: str, k: int) -> list[talks.Named]:
        return [(key.partition("/")[0], key.partition("/")[2]) for key in answer(text, k)]

    return search


def _timed(search: talks.Search, times: list[float]) -> Callable[[str, int], Sequence[talks.Named]]:
    def measured(text: str, k: int) -> Sequence[talks.Named]:
        began = time.perf_counter()
        found = search(text, k)
        times.append(time.perf_counter() - began)
        return found

    return measured


def _interval(answers: Sequence[talks.Asked], place: int) -> tuple[float, float]:
    """The middle 95 % of the means of resamples of the questions."""
    rng = random.Random(1)
    shares = [one.shares[place] for one in answers]
    drawn = sorted(statistics.fmean(rng.choices(shares, k=len(shares))) for _ in range(_RESAMPLES))
    return drawn[_RESAMPLES // 40], drawn[-1 - _RESAMPLES // 40]
