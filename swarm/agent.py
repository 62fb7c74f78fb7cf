"""An agent at work on a ledger: everything that writes, in its name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger.errors import BadInput, Conflict, NotFound, Refused, StorageError
from swarm_ledger.ids import (
    AgentName,
    EntryId,
    entity_id,
    kind_of,
    log_directory,
    new_id,
    new_request,
    path_of,
    plan_id,
    quoted,
    slugify,
    tombstone_id,
)
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Append, BlobId, CommitId, Delete, Op, Put, Receipt, Request, Version
from swarm_ledger.times import format_time

from . import drafts
from .given import Note, mentions, note_meta, present, subject_line, texts, when
from .mentions import entity_page
from .reader import Reader, document

if TYPE_CHECKING:
    from .api import Swarm
    from .session import Session

__all__ = ["Agent", "Written"]

Citation = str | Mapping[str, object]

_PROVENANCE = frozenset({"id", "kind", "by", "at", "rev"})
"""Fields that say where an entry comes from. No edit sets them; each edit raises `rev`."""
_WRITABLE = ("fact", "reflection", "entity", "plan", "task")
_ATTEMPTS = 16
"""Of a write whose only hindrance was that others made the same new name at the same moment."""


class Written(NamedTuple):
    """The acknowledgement of a write: it is in `commit`, on disk.

    `version` names the new text; it is None for a log entry (a section of a file that grows) and for a removal.
    `commit` is None where nothing had to be written. `created` are entity pages that were made on first mention.
    """

    id: EntryId
    commit: CommitId | None
    path: str
    version: BlobId | None = None
    created: tuple[EntryId, ...] = ()


class Agent(Reader):
    """One agent of the swarm, in one session. Writes return once they are on disk."""

    session: Session

    def __init__(self, swarm: Swarm, session: Session, asked: AgentName | None = None) -> None:
        super().__init__(swarm, session)
        self.asked = asked or session.agent
        """The name that was asked for; `name` differs where another worktree has it."""

    @property
    def name(self) -> AgentName:
        """The name under which it writes."""
        return self.session.agent

    def log(
        self,
        text: str,
        *,
        to: str | None = None,
        task: str | None = None,
        tags: Sequence[str] = (),
        room: str | None = None,
        entities: Sequence[str] = (),
        valid_from: str | datetime | None = None,
        ref: str | None = None,
    ) -> Written:
        """Add an entry to this agent's log. Never refused because others write too. Raises BadInput, StorageError."""
        return self.log_many([Note(text, to, task, tags, room, entities, valid_from, ref)])[0]

    def log_many(self, notes: Iterable[Note]) -> list[Written]:
        """Add entries to this agent's log, all in one commit or none, in their order."""
        from swarm_ledger import logbook

        ids: list[EntryId] = []
        with self._recorded("log", ids):
            at = self._now()
            directory, header = log_directory(self.name, at.date()), logbook.header(self.name, at.date())
            ops: list[Op] = []
            named: dict[EntryId, str] = {}
            subject = ""
            for note in notes:
                here = mentions(note.entities)
                id = new_id("log", at, self._env.rng)
                entry = logbook.LogEntry(id, self.name, at, note.text, note_meta(note, here))
                ops.append(Append(id, directory, header, logbook.section(entry)))
                ids.append(id)
                named |= here
                subject = subject or note.text
            if not ops:
                return []
            many = f" {len(ops)} entries" if len(ops) > 1 else ""
            receipt, created = self._land(f"log{many}: {subject}", ops, named)
        return [Written(id, receipt.commit, path, None, created) for id, path in zip(ids, receipt.paths, strict=False)]

    def remember(
        self,
        title: str,
        body: str = "",
        *,
        kind: str = "fact",
        cite: Sequence[Citation] = (),
        entities: Sequence[str] = (),
        room: str | None = None,
        tags: Sequence[str] = (),
        key: str | None = None,
        type: str | None = None,
        plan: str | None = None,
        valid_from: str | datetime | None = None,
        confidence: float | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> Written:
        """Write a new entry: a fact, reflection, entity page, plan or task, with the evidence for it.

        `cite` takes `PATH:A-B` (lines of the caller's worktree), an entry's id, a URL, or a citation's fields. Plans
        and entities are named by their title; `fields` are any others of the kind. Raises BadInput, Refused where
        such a plan or entity is there already, StorageError.
        """
        ids: list[EntryId] = []
        with self._recorded("remember", ids):
            named = mentions(entities)
            given = {
                "entities": list(named),
                "room": room,
                "tags": texts(tags, "tags"),
                "key": key,
                "valid_from": when(valid_from),
                "confidence": confidence,
                "citations": self._citations(cite),
                "type": type,
                "plan": plan,
                **(fields or {}),
            }
            return self._create(kind, title, body, given, named, ids)

    def edit(
        self,
        id: str,
        body: str | None = None,
        fields: Mapping[str, object] | None = None,
        *,
        base: str | None = None,
    ) -> Written:
        """Change the text or fields of an entry (a field of None is taken out); all else stays byte for byte.

        It is based on the version that this session read last, or on `base`. Raises Refused for what was never read
        and for what is never edited; Conflict where it changed since, with the texts, and the draft kept in a file.
        """
        with self._recorded("edit", [id]):
            known = self._known(id, base, "edit")
            changes = dict(fields or {})
            for name in changes:
                if name in _PROVENANCE:
                    raise BadInput(f"{name}: says where the entry comes from; an edit does not change it.")
            named = mentions(changes.get("entities"))
            if named:
                changes["entities"] = list(named)
            draft = self._edited(known, changes, body)
            if draft == known.text:
                return Written(EntryId(id), None, known.path, known.blob)
            put = Put(id, known.path, draft, known.blob)
            receipt, created = self._replace(known, draft, f"edit {id}", [put], named)
        return Written(EntryId(id), receipt.commit, known.path, blob_id(draft), created)

    def supersede(
        self,
        id: str,
        title: str,
        body: str = "",
        *,
        cite: Sequence[Citation] = (),
        entities: Sequence[str] = (),
        room: str | None = None,
        tags: Sequence[str] = (),
        key: str | None = None,
        valid_from: str | datetime | None = None,
        confidence: float | None = None,
        fields: Mapping[str, object] | None = None,
        base: str | None = None,
    ) -> Written:
        """Write a new entry in the place of `id`, which ends where the new one begins; both in one commit.

        Entities, room, tags and key are the old one's unless given. Raises as `edit` does.
        """
        ids = [EntryId(id)]
        with self._recorded("supersede", ids):
            known = self._known(id, base, "supersede")
            kind = kind_of(id)
            if kind not in ("fact", "reflection"):
                raise Refused("supersede", f"{id} is a {kind}; facts and reflections are superseded. Use `swarm edit`.")
            old = document(known).fields
            if old.get("superseded_by"):
                raise Refused("supersede", f"{id} was superseded by {old['superseded_by']}; supersede that one.")
            given = {
                **{name: old[name] for name in ("entities", "room", "tags", "key") if name in old},
                **present(
                    {
                        "entities": list(mentions(entities)),
                        "room": room,
                        "tags": texts(tags, "tags"),
                        "key": key,
                        "valid_from": when(valid_from),
                        "confidence": confidence,
                        "citations": self._citations(cite),
                    }
                ),
                "supersedes": [id],
                **(fields or {}),
            }
            return self._create(kind, title, body, given, mentions(entities), ids, known)

    def retract(self, id: str, why: str, *, base: str | None = None) -> Written:
        """Take an entry out of the ledger, leaving a tombstone that says why; both in one commit.

        Its text stays in history. Raises as `edit` does.
        """
        with self._recorded("retract", [id]):
            if not why.strip():
                raise BadInput("say why: those who read it before will want to know.")
            known = self._known(id, base, "retract")
            at = self._now()
            stone = tombstone_id(EntryId(id), at, self._env.rng)
            if self._store.read(path_of(stone)):  # the same id was retracted once before
                stone = new_id("tombstone", at, self._env.rng)
            buried = {"of": id, "version": known.blob, "why": why.strip()}
            title = str(document(known).fields.get("title", id))
            text = self._new_text(stone, title, "", at, buried)
            ops: list[Op] = [Delete(id, known.path, known.blob), Put(stone, path_of(stone), text, None)]
            receipt, _ = self._replace(known, None, f"retract {id}: {why}", ops, {})
        return Written(EntryId(id), receipt.commit, known.path)

    def restore(self, id: str) -> Written:
        """Undo a retraction: the entry is there again as it was, its tombstone goes; both in one commit.

        Raises NotFound where nothing was retracted, Refused where the entry is there.
        """
        from .tombstones import tombstone_of

        with self._recorded("restore", [id]):
            path = path_of(id)
            if self._store.read(path):
                raise Refused("exists", f"{id} is there; nothing is to be restored.")
            stone = tombstone_of(self._store, EntryId(id))
            if stone is None:
                raise NotFound(
                    f"no entry {id} was retracted from this ledger; `swarm recall` finds those that are there."
                )
            text = self._store.blob(BlobId(str(document(stone).fields.get("version"))))
            ops: list[Op] = [
                Put(id, path, text, None),
                Delete(str(document(stone).fields["id"]), stone.path, stone.blob),
            ]
            receipt, _ = self._land(f"restore {id}", ops, {})
        return Written(EntryId(id), receipt.commit, path, blob_id(text))

    def commit(self, subject: str, ops: Sequence[Op]) -> Receipt:
        """Commit ready-made writes in this agent's name, all or none; for imports, which bring whole entries."""
        with self._recorded("commit", [op.entry for op in ops]):
            return self._land(subject, ops, {})[0]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._env.now()), UTC)

    def _citations(self, cite: Sequence[Citation]) -> list[Mapping[str, object]]:
        from .evidence import citation

        if isinstance(cite, str):
            raise BadInput("cite: give a list, such as ['src/auth.py:10-24'].")
        place = self._swarm.place
        return [
            citation(item, place.worktree, self._swarm.cwd, self._store) if isinstance(item, str) else item
            for item in cite
        ]

    def _new_text(self, id: EntryId, title: str, body: str, at: datetime, given: Mapping[str, object]) -> bytes:
        from swarm_ledger.entry import Document
        from swarm_ledger.schema import validate

        fields = {
            "id": id,
            "kind": kind_of(id),
            "title": title.strip(),
            "by": self.name,
            "at": format_time(at),
            "rev": 1,
            **present(given),
        }
        if given.keys() & _PROVENANCE:
            raise BadInput(f"{', '.join(given.keys() & _PROVENANCE)}: not yours to give to a new entry.")
        validate(fields, body)
        return Document.create(fields, _ended(body)).data

    def _create(
        self,
        kind: str,
        title: str,
        body: str,
        given: Mapping[str, object],
        named: Mapping[EntryId, str],
        ids: list[EntryId],
        old: Version | None = None,
    ) -> Written:
        """Write a new entry, and with `old` end that one where this one begins; `ids` is told the new id."""
        if kind not in _WRITABLE:
            raise BadInput(f"{quoted(kind)} is nothing to remember; kinds: {', '.join(_WRITABLE)}.")
        if not title.strip():
            raise BadInput(f"a {kind} needs a title.")
        for _ in range(_ATTEMPTS):
            at = self._now()
            id = self._new_id(kind, title, given, at)
            text = self._new_text(id, title, body, at, given)
            put = Put(id, path_of(id), text, None)
            pages = {name: shown for name, shown in named.items() if name != id}
            try:
                if old is None:
                    receipt, created = self._land(f"{kind}: {title}", [put], pages)
                else:
                    ends = {"superseded_by": id, "valid_to": given.get("valid_from") or format_time(at)}
                    ended = Put(str(ids[0]), old.path, self._edited(old, ends, None), old.blob)
                    receipt, created = self._replace(old, text, f"supersede {ids[0]}: {title}", [put, ended], pages)
            except Conflict as conflict:
                if conflict.path != put.path:
                    raise
                if kind in ("plan", "entity"):
                    raise Refused(
                        "exists", f"{id} is there already; `swarm show {id}` reads it, then `swarm edit` changes it."
                    ) from None
                continue  # the same id was drawn by somebody else
            ids.append(id)
            return Written(id, receipt.commit, put.path, blob_id(text), created)
        raise StorageError(f"{_ATTEMPTS} new ids were all taken; nothing was written. Try again.")

    def _new_id(self, kind: str, title: str, given: Mapping[str, object], at: datetime) -> EntryId:
        if kind == "plan":
            return plan_id(slugify(title))
        if kind == "entity":
            type = given.get("type")
            if not isinstance(type, str):
                raise BadInput("an entity needs a type, such as file, service or person (--type).")
            return entity_id(type, slugify(title))
        return new_id(kind, at, self._env.rng)

    def _known(self, id: str, base: str | None, verb: str) -> Version:
        """The version of `id` to base a write on: `base`, or what this session read last. Raises Refused, NotFound."""
        kind = kind_of(id)
        if kind in ("log", "tombstone"):
            raise Refused("append-only", f"{id} is kept as it is: a {kind} is never changed. Log what you have to add.")
        path = path_of(id)
        read = BlobId(base) if base else self.session.last(EntryId(id))
        now = self._store.read(path)
        if read is None and now is not None:
            raise Refused("read-first", f"{id} was not read in this session; `swarm show {id}` first, then {verb} it.")
        if read is None:
            raise NotFound(f"no entry {id} in this ledger; `swarm recall` finds entries by their words.")
        return now if now and now.blob == read else Version(path, read, self._store.blob(read))

    def _edited(self, known: Version, changes: Mapping[str, object], body: str | None) -> bytes:
        """The text of `known` with `changes` made and `rev` raised; the same text where nothing changes."""
        from swarm_ledger.entry import REMOVED
        from swarm_ledger.schema import validate

        before = document(known)
        new = None if body is None or body == before.body else _ended(body)
        changed = {name: value for name, value in changes.items() if before.fields.get(name) != value}
        if not changed and (new is None or new == before.body):
            return known.text
        rev = before.fields.get("rev")
        after = before.edit(
            {
                **{name: REMOVED if value is None else value for name, value in changed.items()},
                "rev": rev + 1 if isinstance(rev, int) else 1,
            },
            body=new,
        )
        validate(after.fields, after.body)
        return after.data

    def _land(
        self, subject: str, ops: Sequence[Op], named: Mapping[EntryId, str]
    ) -> tuple[Receipt, tuple[EntryId, ...]]:
        """Submit `ops` with pages for those of `named` that have none: (receipt, the pages made)."""
        at = self._now()
        paths = {id: path_of(id) for id in named}
        while True:
            there = self._store.read_many(list(paths.values())) if paths else {}
            pages = [entity_page(id, named[id], self.name, at) for id in paths if paths[id] not in there]
            whole = (*ops, *pages)
            request = Request(
                new_request(self._env.rng),
                self.name,
                self.session.id,
                int(self._env.now()),
                subject_line(subject),
                whole,
            )
            try:
                receipt = self._store.submit(request)
            except Conflict as conflict:
                if all(page.path != conflict.path for page in pages):
                    raise
                continue  # another made that page in the meantime
            self._wrote(whole)
            return receipt, tuple(EntryId(page.entry) for page in pages)

    def _wrote(self, ops: Sequence[Op]) -> None:
        versions: list[tuple[EntryId, BlobId | None]] = []
        for op in ops:
            if not isinstance(op, Append):
                versions.append((EntryId(op.entry), blob_id(op.text) if isinstance(op, Put) else None))
        # The write is acknowledged whatever happens here; without the note the next edit asks to read first.
        with contextlib.suppress(StorageError):
            self.session.saw(versions)

    def _replace(
        self, known: Version, draft: bytes | None, subject: str, ops: Sequence[Op], named: Mapping[EntryId, str]
    ) -> tuple[Receipt, tuple[EntryId, ...]]:
        """`_land` for a write based on `known`; its conflict carries the texts, and keeps `draft`."""
        try:
            return self._land(subject, ops, named)
        except Conflict as conflict:
            if conflict.path != known.path:
                raise
            raise drafts.conflict(self._store, self._swarm.place.home, self._env, known, draft) from None


def _ended(body: str) -> str:
    """`body` as a file holds it: a text ends in a line end."""
    return body + "\n" if body and not body.endswith("\n") else body
