"""Text with the statistics of English notes: the same function words, a vocabulary of some thousands of words whose
frequency falls with their rank as Zipf's law says, now and then a number or an identifier. Made, not quoted."""

from __future__ import annotations

import random
from itertools import accumulate

__all__ = ["COMMON", "body", "query", "title"]


def _list(text: str) -> list[str]:
    return text.split()


_FUNCTION = _list(
    "the of and to in a is that it for was on with as be at by this have not are but from or an they which one we "
    "all there can if when so no into only after then than its over also before where while because still between"
)
_ONSETS = _list("b bl br c ch cl cr d dr f fl fr g gr h j k l m n p pl pr qu r s sc sh sk sl sp st str t th tr v w")
_NUCLEI = _list("a a a e e e e i i i o o o u ai ea ee io oa ou")
_CODAS = ["", "", "", "n", "r", "s", "t", "l", "m", "d", "nt", "st", "ck", "nd", "rt", "ss", "sh", "x"]
_ENDINGS = ["", "", "", "", "er", "ing", "ed", "ion", "al", "ment", "ly", "able", "s", "ness"]
_CONTENT = 8_000


def _vocabulary() -> tuple[list[str], list[float]]:
    rng = random.Random(7)
    made: set[str] = set()
    content: list[str] = []
    while len(content) < _CONTENT:
        syllables = rng.choices((1, 2, 3), (4, 5, 1))[0]
        stem = "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(syllables))
        word = stem + rng.choice(_ENDINGS)
        if word not in made and word not in _FUNCTION:
            made.add(word)
            content.append(word)
    content.sort(key=lambda word: len(word) + rng.uniform(0, 8))  # what is common is short
    # Zipf-Mandelbrot, as fitted to English.
    weights = [1 / (rank + 2.7) for rank in range(1, len(_FUNCTION) + _CONTENT + 1)]
    return [*_FUNCTION, *content], list(accumulate(weights))


_WORDS, _WEIGHTS = _vocabulary()
_CONTENT_WORDS = _WORDS[len(_FUNCTION) :]
_CONTENT_WEIGHTS = [weight - _WEIGHTS[len(_FUNCTION) - 1] for weight in _WEIGHTS[len(_FUNCTION) :]]

COMMON = " ".join(_CONTENT_WORDS[:4])
"""The four commonest words of the vocabulary, function words apart: a query with the longest postings."""


def _content(rng: random.Random, count: int) -> list[str]:
    return rng.choices(_CONTENT_WORDS, cum_weights=_CONTENT_WEIGHTS, k=count)


def title(rng: random.Random) -> str:
    """A heading of some words."""
    first, second, third = _content(rng, 3)
    return f"{first.capitalize()} {rng.choice(_FUNCTION)} {second} {third}"


def query(rng: random.Random, text: str) -> str:
    """What somebody asks who remembers three words of `text`."""
    words = sorted({word.strip(".,;") for word in text.split()} - set(_FUNCTION))
    return " ".join(rng.sample([word for word in words if word.islower() and word.isalpha()], 3))


def body(rng: random.Random, size: int) -> str:
    """Sentences of exactly `size` ASCII characters in all, the line end at the end included."""
    parts: list[str] = []
    length = 0
    while length < size:
        words = rng.choices(_WORDS, cum_weights=_WEIGHTS, k=rng.randrange(6, 18))
        if rng.random() < 0.3:
            words[rng.randrange(len(words))] = str(rng.randrange(2, 5000))
        if rng.random() < 0.2:
            words[-1] = "_".join(_content(rng, 2))
        sentence = " ".join(words).capitalize() + "."
        parts.append(sentence)
        length += len(sentence) + 1
    return " ".join(parts)[: size - 1].rstrip().ljust(size - 1, ".") + "\n"
