"""Text like that of working notes: varied, made from a word list, the same for the same seed."""

from __future__ import annotations

import random

__all__ = ["body", "title"]

_SUBJECTS = (
    *("the session cache", "the login form", "our retry loop", "the parser", "the nightly job", "the queue reader"),
    *("the upload handler", "the migration", "the billing report", "the search index", "the token refresh"),
    *("the worker pool", "the config loader", "the schema check", "the release script", "the mobile client"),
    *("the audit trail", "the rate limiter", "the image cache", "the webhook sender", "the feature flag"),
)
_VERBS = (
    *("drops", "keeps", "rejects", "retries", "rounds", "truncates", "duplicates", "reorders", "blocks on"),
    *("waits for", "reads", "rewrites", "skips", "validates", "logs", "hides", "copies", "merges", "escapes"),
)
_OBJECTS = (
    *("empty lines", "the second request", "expired tokens", "large uploads", "time zones", "unicode names"),
    *("stale rows", "the first page", "nested lists", "duplicate keys", "partial writes", "missing headers"),
    *("negative amounts", "old sessions", "symbolic links", "the last byte", "quoted fields", "long paths"),
)
_CIRCUMSTANCES = (
    *("when two workers start at once", "after a restart", "under load", "on the staging host", "since the upgrade"),
    *("unless the flag is set", "only on Mondays", "if the disk is slow", "before the lock is taken"),
    *("in about one of fifty runs", "whenever the clock jumps", "as the test shows", "although the spec forbids it"),
)
_REMARKS = (
    *("I could reproduce it twice", "the fix is in review", "nobody owns this yet", "see the trace in the log"),
    *("this cost us an hour", "it was like this before", "do not rely on it", "the limit is {n} entries"),
    *("measured {n} ms at the median", "commit {h} changed it", "line {n} is the place", "ticket {n} has the history"),
)


def title(rng: random.Random) -> str:
    """A heading of some words."""
    text = f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)}"
    return text[0].upper() + text[1:]


def body(rng: random.Random, size: int) -> str:
    """Sentences of exactly `size` ASCII characters in all, the line end at the end included."""
    parts: list[str] = []
    length = 0
    while length < size:
        remark = rng.choice(_REMARKS).format(n=rng.randrange(2, 5000), h=f"{rng.getrandbits(28):07x}")
        sentence = f"{title(rng)} {rng.choice(_CIRCUMSTANCES)}; {remark}."
        parts.append(sentence)
        length += len(sentence) + 1
    return " ".join(parts)[: size - 1].rstrip().ljust(size - 1, ".") + "\n"
