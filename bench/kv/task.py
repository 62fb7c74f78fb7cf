"""The recall task: records of a key and a value strewn through random filler, and questions about them.

    BOS f f f > k v f f > k v f …  ? k v  ? k v  …         recall: after `? k` comes the value of k
    BOS f f > a b f > b c f …      ~ a b c d …              chain: after ~ each symbol is the value of the one before

Keys and values are symbols of one alphabet, filler is of another. All is drawn at random from a seed, so that nothing
can be known but by looking it up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BOS", "CHAIN", "QUESTION", "RECORD", "VOCABULARY", "Batch", "chains", "recalls", "repeats"]

BOS, RECORD, QUESTION, CHAIN = 1, 2, 3, 4
SYMBOLS = range(8, 136)
FILLER = range(136, 256)
VOCABULARY = 256
IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """Sequences with what is to be said about them."""

    context: Tensor
    """int64 [B, T]: BOS, filler and records; what a cache holds before any question."""
    tail: Tensor
    """int64 [B, Q]: questions with their answers, or a chain."""
    answers: Tensor
    """int64 [B, Q]: the token that should follow each token of `tail`, -100 where nothing is asked."""
    places: Tensor
    """int64 [B, Q]: where in `context` the answer stands, -1 where nothing is asked."""


def recalls(
    batch: int, length: int, records: int, generator: torch.Generator, questions: int | None = None, place: str = "any"
) -> Batch:
    """`records` records in contexts of `length` tokens, and `questions` of them asked in random order (None: all).

    `place` asks about records of the first, middle or last tenth of the context only: "start", "middle", "end"; the
    asked record is moved there.
    """
    context, keys, values, spots = _contexts(batch, length, records, generator, place)
    count = records if questions is None else questions
    order = torch.stack([torch.randperm(records, generator=generator)[:count] for _ in range(batch)])
    if place != "any":
        order = torch.zeros(batch, 1, dtype=torch.long)
        count = 1
    asked, said, where = keys.gather(1, order), values.gather(1, order), spots.gather(1, order)
    tail = torch.stack([torch.full_like(asked, QUESTION), asked, said], -1).flatten(1)
    answers = torch.full((batch, count, 3), IGNORED)
    answers[:, :, 1] = said
    places = torch.full((batch, count, 3), -1)
    places[:, :, 1] = where + 2
    return Batch(context, tail, answers.flatten(1), places.flatten(1))


def chains(batch: int, length: int, records: int, steps: int, generator: torch.Generator) -> Batch:
    """Contexts whose records form one cycle, and the walk along it of `steps` symbols from a random start."""
    context, keys, _, spots = _contexts(batch, length, records, generator, "any", cycle=True)
    start = torch.randint(0, records, (batch, 1), generator=generator)
    walk = (start + torch.arange(steps + 1)) % records
    # Key i + 1 is the value of key i.
    nodes = keys.gather(1, walk)
    tail = torch.cat([torch.full((batch, 1), CHAIN), nodes[:, :-1]], 1)
    answers = torch.cat([torch.full((batch, 1), IGNORED), nodes[:, 1:]], 1)
    places = torch.cat([torch.full((batch, 1), -1), spots.gather(1, walk[:, :-1]) + 2], 1)
    return Batch(context, tail, answers, places)


def repeats(batch: int, length: int, generator: torch.Generator) -> Batch:
    """A random string of symbols and filler, twice: the second time is to be foretold."""
    alphabet = torch.tensor([*SYMBOLS, *FILLER])
    picks = torch.stack([torch.randperm(len(alphabet), generator=generator)[:length] for _ in range(batch)])
    once = alphabet[picks]
    context = torch.cat([torch.full((batch, 1), BOS), once], 1)
    answers = torch.cat([once[:, 1:], torch.full((batch, 1), IGNORED)], 1)
    return Batch(context, once, answers, torch.full_like(answers, -1))


def _contexts(
    batch: int, length: int, records: int, generator: torch.Generator, place: str, cycle: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(context [B, length], keys [B, n], values [B, n], where each record's marker stands [B, n])."""
    symbols = torch.tensor(SYMBOLS)
    context = torch.randint(FILLER.start, FILLER.stop, (batch, length), generator=generator)
    context[:, 0] = BOS
    keys = symbols[torch.stack([torch.randperm(len(symbols), generator=generator)[:records] for _ in range(batch)])]
    if cycle:
        values = keys.roll(-1, 1)
    else:
        values = symbols[torch.randint(0, len(symbols), (batch, records), generator=generator)]
    # Slots of four tokens: a record and at least one filler, so that no value is followed by a record's key.
    slots = (length - 1) // 4
    spots = torch.stack([torch.randperm(slots, generator=generator)[:records] for _ in range(batch)])
    if place != "any":
        tenth = max(1, slots // 10)
        low = {"start": 0, "middle": (slots - tenth) // 2, "end": slots - tenth}[place]
        wanted = torch.randint(low, low + tenth, (batch,), generator=generator)
        taken = spots == wanted[:, None]
        spots = torch.where(taken, spots[:, :1], spots)
        spots[:, 0] = wanted
    spots = spots * 4 + 1
    for offset, tokens in enumerate((torch.full_like(keys, RECORD), keys, values)):
        context.scatter_(1, spots + offset, tokens)
    return context, keys, values, spots
