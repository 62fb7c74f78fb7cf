"""What a write must pass: each gate has one reason, and says how to go on. `swarm.yaml` sets them for a ledger.

gates:
  provenance: refuse     # a fact or reflection cites what it rests on
  duplicate: refuse      # it does not say what an active fact says
  loop: refuse           # it is not what the ledger itself just served
  secrets: refuse        # no key or token of a known form in any text
  size: 32768            # bytes of a body

Each but `size` may be `off`. A write that is refused can be forced with a reason, which is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import id_of, kind_of, quoted
from swarm_ledger.store import Append, Delete, Op

from .saying import ALIKE, said_in, turns, words
from .secrets import secret_in, secret_in_file

if TYPE_CHECKING:
    from .api import Swarm
    from .session import Session

__all__ = ["DEFAULTS", "Draft", "Policy", "held_back", "knows", "leaks", "objections", "policy"]

DEFAULTS: Mapping[str, object] = {
    "provenance": "off",
    "duplicate": "refuse",
    "loop": "refuse",
    "secrets": "refuse",
    "size": 262144,
}
"""Of a ledger whose settings do not say. `swarm init` writes settings that turn provenance on."""

_LAST = 30
"""So many of the entries that a session read last are held against what it writes."""

_ENOUGH = 6
"""A text of fewer different words says nothing of where it comes from."""

_served: dict[str, tuple[frozenset[str], int]] = {}
"""Version → (its words, their marks), of what sessions of this process read or wrote."""

_NOTHING: tuple[frozenset[str], int] = frozenset(), 0

Policy = Mapping[str, object]


class Draft(NamedTuple):
    """What is about to be written. `old` is what it takes the place of, or what an edit changes."""

    kind: str
    title: str
    body: str
    fields: Mapping[str, object]
    old: str | None = None
    titles: Sequence[str] = ()
    """Of pages that are made with it."""


def policy(settings: bytes | None) -> Policy:
    """The gates of a ledger, from the text of its settings. Raises BadInput where they are no gates."""
    if settings is None or b"gates" not in settings:
        return DEFAULTS
    from swarm_ledger.yaml12 import load

    fields = load(settings.decode(errors="replace"))
    if "gates" not in fields:  # but in a comment
        return DEFAULTS
    given = fields["gates"]
    if not isinstance(given, dict):
        raise BadInput("swarm.yaml: gates is a mapping, such as `gates: {provenance: refuse}`.")
    for name, value in given.items():
        known = DEFAULTS.get(name)
        right = isinstance(value, int) and value > 0 if name == "size" else value in ("refuse", "off")
        if known is None or not right:
            raise BadInput(
                f"swarm.yaml: gates: {quoted(str(name))} is none that is known, or not what it may be; known are "
                f"{', '.join(DEFAULTS)}, each `refuse` or `off`, size a number of bytes."
            )
    return {**DEFAULTS, **given}


def objections(swarm: Swarm, session: Session, rules: Policy, draft: Draft) -> Iterator[tuple[str, str]]:
    """(gate, what it says) of each gate of `rules` that does not let `draft` through."""
    text = f"{draft.title}\n{draft.body}"
    limit = rules["size"]
    if isinstance(limit, int) and (size := len(draft.body.encode(errors="replace"))) > limit:
        yield "size", f"its body has {size} bytes; at most {limit} in this ledger. Say it shorter, or cite a file."
    if leak := leaks(rules, "\n".join((text, *draft.titles, *_texts(draft.fields)))):
        yield "secrets", leak
    bare = rules["provenance"] == "refuse" and not draft.fields.get("citations", draft.kind == "edit")
    if bare and draft.kind == "edit" and draft.old and kind_of(draft.old) in ("fact", "reflection"):
        yield "provenance", "that takes out what it rests on; cite what shows it now, or retract it."
    if draft.kind not in ("fact", "reflection"):
        return
    if bare:
        yield (
            "provenance",
            f"a {draft.kind} says what it rests on: --cite PATH:FIRST-LAST, an entry's id, or a URL. "
            "What you only noticed, `swarm log` keeps.",
        )
    said = words(f"{draft.title.strip()}\n{draft.body.strip()}")
    if rules["duplicate"] == "refuse" and draft.kind == "fact":
        for id in swarm.sketches.like(text, said):
            if id != draft.old:
                yield "duplicate", f"{id} says that already; edit or supersede it where this is newer."
    if rules["loop"] == "refuse":
        for id in _echoes(swarm, session, said):
            if id != draft.old:
                yield (
                    "loop",
                    f"that is what you just read in {id}; cite it there, and say what is new.",
                )


def knows(version: str, document: bytes) -> None:
    """Keep the words of a version, also of one that this process wrote: then nobody has to read it for them."""
    if len(_served) > 1000:
        _served.clear()
    said = words(said_in(document))
    _served[version] = said, _marks(said)


def held_back(swarm: Swarm, op: Op) -> str:
    """Why `op`, which somebody wrote by hand or elsewhere, may not come in; "" where it may.

    Only secrets are kept out, for what is in history once stays there. One that its base has already is no news.
    """
    if isinstance(op, Delete) or swarm.gates["secrets"] != "refuse":
        return ""
    kind = secret_in_file(op.section if isinstance(op, Append) else op.text)
    base = None if isinstance(op, Append) else op.base
    if kind is None or (base and secret_in_file(swarm.store.blob(base)) == kind):
        return ""
    return f"it holds what looks like a secret ({kind}), which history would keep; take it out, or write it by --force."


def leaks(rules: Policy, text: str) -> str:
    """What the gate against secrets says of `text`; "" where nothing."""
    kind = secret_in(text) if rules["secrets"] == "refuse" else None
    return f"it holds what looks like a secret ({kind}); name it instead of writing it down." if kind else ""


def _texts(value: object) -> Iterator[str]:
    """The texts of the fields of an entry, but not the marks of citations, which may look like anything."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name != "marks":
                yield from _texts(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)


def _echoes(swarm: Swarm, session: Session, said: frozenset[str]) -> Iterator[str]:
    """Ids of entries that the ledger served to this session a moment ago and that say all that is `said`."""
    if len(said) < _ENOUGH:
        return
    latest = session.latest(_LAST)
    unknown = [place for place, version in latest.items() if version not in _served and not _is_log(place)]
    for place, now in swarm.store.read_many(unknown).items():
        seen = latest[place]
        with contextlib.suppress(NotFound):  # of a ledger that was set back
            knows(seen, now.text if now.blob == seen else swarm.store.blob(seen))
    marks = _marks(said)
    least = marks.bit_count() - len(said) * (1 - ALIKE)
    for place, version in reversed(latest.items()):
        served, theirs = _served.get(version, _NOTHING)
        if (marks & theirs).bit_count() < least:
            continue  # each mark that is not there is of a word that is not there
        if len(said & served) >= ALIKE * len(said) and not turns(said - served) and not _is_log(place):
            yield id_of(place) or place


def _is_log(place: str) -> bool:
    """A log may be said again, citing it: so are facts made of what was noticed."""
    return place.startswith("log/")


@lru_cache(maxsize=4)
def _marks(said: frozenset[str]) -> int:
    """One of a thousand bits for each word: most texts are told apart by them, at a tenth of the cost."""
    marks = 0
    for word in said:
        marks |= 1 << hash(word) % 1021
    return marks
