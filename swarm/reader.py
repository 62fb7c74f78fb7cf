"""Reading the ledger: an entry, what is like a query, the versions an entry had.

What a session reads is noted in its seen-file before it is answered, so that a version which an agent has in
its context is never one that nobody knows it has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from swarm_indexes.filters import EVERYTHING, Filters, several
from swarm_indexes.moments import moment_of
from swarm_ledger.coherence import renew
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput, Busy, Damaged, NotFound, StorageError, SwarmError
from swarm_ledger.ids import EntryId, id_of, kind_of, path_of, quoted
from swarm_ledger.lines import Line
from swarm_ledger.refs import BRANCH
from swarm_ledger.store import BlobId, CommitId, Store, Version

from .mentions import sought

if TYPE_CHECKING:
    from swarm_indexes.lexical import Hit
    from swarm_ledger.entry import Document

    from .about import About, Said
    from .api import Swarm
    from .deltas import Changed
    from .session import Session

__all__ = ["Held", "Reader", "Retracted", "Revision", "Shown", "document", "no_entry"]

_ALL = 1 << 30
_BEYOND = 5
"""So many hits beyond those that were asked for are looked at too: what moves within them may come in or fall out."""
_RENEWAL_S = 0.1
"""A program that calls a thousand times a second renews its leases ten times."""


class Retracted(NamedTuple):
    """Why an entry is no longer there."""

    by: str
    at: str
    why: str
    tombstone: EntryId


class Shown(NamedTuple):
    """An entry as it stands. `text` is the whole file, or of a log entry its section.

    For a retracted entry `retracted` says by whom and why, and the rest is what it was; `text` is "" where this
    ledger does not hold that version.
    """

    id: EntryId
    kind: str
    text: str
    fields: Mapping[str, object]
    body: str
    version: BlobId
    """Names the text of the file at `path`."""
    path: str
    retracted: Retracted | None = None


class Held(NamedTuple):
    """A live lease, for people; times are POSIX seconds."""

    line: Line
    agent: str
    session: str
    since: float
    until: float
    mine: bool
    note: str


class Revision(NamedTuple):
    """One commit that changed an entry; `version` is None where it removed it."""

    commit: CommitId
    version: BlobId | None
    by: str
    at: int
    """POSIX seconds."""
    subject: str
    trailers: tuple[tuple[str, str], ...] = ()


class _Noted(list[str]):
    """The ids that a line of the record of use is about."""

    cited: Sequence[str] = ()


class Reader:
    """Reads one ledger, for the agent of `session` or for nobody in particular."""

    def __init__(self, swarm: Swarm, session: Session | None) -> None:
        self._swarm = swarm
        self.session = session
        self._renewed = -_RENEWAL_S

    @property
    def store(self) -> Store:
        """The ledger's."""
        return self._swarm.store

    @property
    def _store(self) -> Store:
        return self._swarm.store

    @property
    def _env(self) -> Env:
        return self._swarm.env

    def show(self, id: str) -> Shown:
        """The entry `id` as it stands, noted as read by this session.

        Raises BadInput for what is no id, NotFound, Damaged for an entry that cannot be read, StorageError.
        """
        with self._recorded("show", [id]):
            shown = self._log(EntryId(id)) if kind_of(id) == "log" else self._document(EntryId(id))
            if self.session and not shown.retracted:
                place = shown.id if shown.kind == "log" else shown.path
                self.session.saw([(place, shown.version)], self._env.now())
        return shown

    def recall(
        self,
        query: str,
        filters: Filters = EVERYTHING,
        *,
        k: int = 10,
        least: float = 0.0,
        as_of: str | None = None,
        priors: bool = True,
    ) -> list[Hit]:
        """The `k` entries that match `query` best, best first; those shown whole are noted as read by this session.

        Those whose chance to answer is below `least` are left out: none may be good enough. A fact whose evidence
        changed or is gone on the branch of this worktree, and what is contested, has half the odds that it would have,
        and says so in `standing`. With `priors` what was shown, edited or cited lately, by whomever, has a little more.
        Of an entry that is longer than its snippet nothing is noted: what nobody saw must not be written over.
        `filters.entity` may be written as in a mention, times as people say them. `as_of`, a time too, asks
        what was recorded by then: hits are the versions of then, and are neither judged nor noted as read. Raises
        BadInput, StorageError.
        """
        with self._recorded("recall", (), query) as found:
            now = self._env.now()
            filters = _heard(filters, now)
            if as_of is not None:
                from swarm_indexes.dates import limit

                from .past import recall_as_of

                moment = min(now, limit("as of", as_of, now, end=True))
                hits = recall_as_of(self._store, self._swarm.index, self._env, query, filters, moment, k)
            else:
                hits = self._placed(self._swarm.index.search(query, filters, k=k + _BEYOND if k > 0 else k), priors)
            hits = [hit for hit in hits if hit.score is None or hit.score >= least][:k]
            found += [hit.id for hit in hits]
            if self.session and as_of is None:
                whole = [(hit.id if hit.kind == "log" else hit.path, BlobId(hit.version)) for hit in hits if hit.whole]
                self.session.saw(whole, self._env.now())
        return hits

    def about(self, name: str, *, k: int = 10) -> About:
        """What is known of the entity `name`, `k` of each list. Raises BadInput, StorageError."""
        from .about import about

        if k < 1:
            raise BadInput(f"k: {k} is not a number of entries; ask for 1 or more.")
        with self._recorded("about", (), name) as ids:
            found = about(self._swarm, name, k)
            ids += [one.fact.id for one in (*found.said, *found.told)] + [hit.id for hit in found.mentions]
        return found

    def value_of(self, path: str) -> list[Said]:
        """What facts say at the end of `path`, SUBJECT.ATTRIBUTE and attributes of what that leads to."""
        from .about import value_of

        with self._recorded("about", (), path) as ids:
            found = value_of(self._swarm, path)
            ids += [one.fact.id for one in found]
        return found

    def _placed(self, hits: list[Hit], priors: bool) -> list[Hit]:
        """`hits` with how they stand, those in doubt further behind, and with `priors` those of use further ahead."""
        from swarm_indexes.priors import placed

        judged = [hit.id for hit in hits if hit.kind != "log"]
        ranked = [hit.id for hit in hits if hit.score is not None]
        standings = self._swarm.evidence.of(judged) if judged else {}
        used = self._swarm.use.of(ranked) if priors and ranked else {}
        return placed(hits, used, standings, self._env.now())

    def history(self, id: str) -> list[Revision]:
        """The commits that wrote or removed the entry `id`, newest first. Raises BadInput, NotFound."""
        store = self._store
        if kind_of(id) == "log":
            path = self._log_path(EntryId(id))
            commits = [commit for commit in store.history(path) if ("Entry", id) in commit.trailers]
        else:
            path = path_of(id)
            commits = list(store.history(path))
        if not commits:
            raise no_entry(id)
        return [
            Revision(one.id, dict(one.changed).get(path), one.author, one.at, one.subject, one.trailers)
            for one in commits
        ]

    def stale(self) -> dict[EntryId, BlobId | None]:
        """Of what this session read, the entries that changed since, with their version now (None: gone).

        Log entries never change.
        """
        return {EntryId(id_of(path) or path): version for path, version in self._stale(self._seen()).items()}

    def changes(self) -> list[Changed]:
        """What changed of that which this session has read, each with what is different now.

        Who was told the whole difference has read it; what is too long for that stays in the list until it is read.
        """
        from .deltas import changed

        with self._recorded("changes") as ids:
            seen = self._seen()
            found = {path: changed(self._store, path, seen[path], now) for path, now in self._stale(seen).items()}
            ids += [one.id for one in found.values()]
            if self.session:
                told = [(path, one.version) for path, one in found.items() if one.whole]
                self.session.saw(told, self._env.now())
        return list(found.values())

    def leases(self) -> list[Held]:
        """Every live lease of this ledger, by line."""
        with self._recorded("leases"):
            shift = self._env.now() - self._store.directory.now()
            me = self.session.id if self.session else None
            return [
                Held(
                    one.line,
                    one.agent,
                    one.session or "",
                    round(one.since + shift, 3),
                    round(one.deadline + shift, 3),
                    one.session == me,
                    one.note,
                )
                for one in self._store.directory.leases()
            ]

    def _seen(self) -> dict[str, BlobId]:
        return self.session.seen() if self.session else {}

    def _stale(self, seen: Mapping[str, BlobId]) -> dict[str, BlobId | None]:
        """Path → version now, of what was `seen` and is not as it was."""
        documents = {place: version for place, version in seen.items() if place.endswith(".md")}
        return self._store.differing(documents) if documents else {}

    def _document(self, id: EntryId) -> Shown:
        path = path_of(id)
        version = self._store.read(path)
        if version is None:
            return self._buried(id, path)
        parsed = document(version)
        return Shown(id, kind_of(id), version.text.decode(), parsed.fields, parsed.body, version.blob, path)

    def _log_path(self, id: EntryId) -> str:
        hit = self._swarm.index.get(id)
        if hit is None:
            raise no_entry(id)
        return hit.path

    def _log(self, id: EntryId) -> Shown:
        from swarm_ledger import logbook
        from swarm_ledger.times import format_time

        path = self._log_path(id)
        version = self._store.read(path)
        try:
            found = [entry for entry in logbook.parse(version.text) if entry.id == id] if version else []
        except BadInput as error:
            raise Damaged(f"{path} is not a readable log: {error}") from None
        if not found or version is None:
            raise no_entry(id)
        entry = found[0]
        fields = {"id": id, "kind": "log", "by": entry.by, "at": format_time(entry.at), **entry.meta}
        return Shown(id, "log", logbook.section(entry).decode(), fields, entry.text, version.blob, path)

    def _buried(self, id: EntryId, path: str) -> Shown:
        """What is known of an entry that is not there: its tombstone names the version that it was."""
        found = self._retracted(id)
        if found is None:
            raise no_entry(id)
        gone, old = found
        try:
            was = Version(path, old, self._store.blob(old))
        except NotFound:
            return Shown(id, kind_of(id), "", {}, "", old, path, gone)
        parsed = document(was)
        return Shown(id, kind_of(id), was.text.decode(), parsed.fields, parsed.body, old, path, gone)

    def _retracted(self, id: EntryId) -> tuple[Retracted, BlobId] | None:
        """Who took `id` out and why, and the version that it was, from its newest tombstone; None where nobody did."""
        stone = self._tombstone(id)
        if stone is None:
            return None
        fields = {name: str(value) for name, value in document(stone).fields.items()}
        by, at, why = (fields.get(name, "") for name in ("by", "at", "why"))
        return Retracted(by, at, why, EntryId(fields["id"])), BlobId(fields.get("version", ""))

    def _tombstone(self, id: EntryId) -> Version | None:
        from .tombstones import tombstone_of

        stone = tombstone_of(self._store, id)
        if stone is None:  # of a page that was retracted in the ledger from which this one was imported
            hits = self._swarm.index.search("", Filters(kind="tombstone"), k=_ALL)
            path = next((hit.path for hit in hits if hit.ref == id), None)
            stone = self._store.read(path) if path else None
        return stone

    @contextlib.contextmanager
    def _recorded(self, verb: str, ids: Sequence[str] = (), query: str | None = None) -> Iterator[_Noted]:
        """Put the outcome of the block into the record of use, with `ids` and those that the block adds."""
        known = _Noted(ids)
        try:
            yield known
        except SwarmError as error:
            named = [id if id.isascii() and id.isprintable() and len(id) < 150 else quoted(id) for id in known]
            self._swarm.record.add(verb, self.session, named, type(error).__name__, str(error), query)
            raise
        finally:
            self._renew()
        self._swarm.record.add(verb, self.session, known, "done", None, query, known.cited)

    def _renew(self) -> None:
        """Whatever a session does renews its leases, where some of their time is over."""
        directory = self._store.directory
        now = directory.now()
        if self.session is None or now < self._renewed + _RENEWAL_S:
            return
        self._renewed = now
        if not self.session.tokens():
            return
        # It is only to spare the owner a second claim; an answer does not wait for it.
        with contextlib.suppress(StorageError, Busy), directory.deciding() as table:
            renew(table, self.session.id, directory.now())


def _heard(filters: Filters, now: float) -> Filters:
    """`filters` as the index takes them. Raises BadInput."""
    for name, given in filters._asdict().items():
        values = [given] if isinstance(given, str) else given
        if values is not None and not (values and all(value.strip() for value in values)):
            raise BadInput(f"{name}: nothing is given; leave it out, or say which.")
    return filters._replace(
        entity=[sought(entity) for entity in several(filters.entity)],
        since=_moment("since", filters.since, now),
        until=_moment("until", filters.until, now, end=True),
    )


def _moment(name: str, text: str | None, now: float, *, end: bool = False) -> str | None:
    """`text` in ISO 8601, where it is not."""
    if text is None or moment_of(text) is not None:
        return text
    from swarm_indexes.dates import limit

    return datetime.fromtimestamp(limit(name, text, now, end=end), UTC).isoformat()


def no_entry(id: str) -> NotFound:
    """What is raised for an id that names nothing here."""
    return NotFound(f"no entry {id} in this ledger; `swarm recall` finds entries by their words.")


def document(version: Version) -> Document:
    """The entry in `version`. Raises Damaged where it is none: nothing of ours writes such a file."""
    from swarm_ledger.entry import Document

    try:
        return Document.parse(version.text)
    except BadInput as error:
        raise Damaged(
            f"{version.path} is not a readable entry: {error}\n"
            f"`swarm git show {BRANCH}:{version.path}` shows it, `swarm check` looks for others."
        ) from None
