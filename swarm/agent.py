"""An agent at work on a ledger: everything that writes, in its name."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from swarm_ledger.errors import BadInput, Conflict, Expired, Fenced, NotFound, Owned, Refused, StorageError
from swarm_ledger.ids import (
    AgentName,
    EntryId,
    entity_id,
    id_of,
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
from swarm_ledger.lines import Line
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Append, BlobId, CommitId, Delete, Op, Put, Receipt, Request, Version
from swarm_ledger.times import format_time

from . import drafts
from .gates import Draft, held_back, knows, leaks, objections
from .given import Note, cited, mentions, note_meta, present, subject_line, texts, when
from .links import require_links
from .mentions import entity_page
from .owning import Owner
from .reader import document, no_entry

if TYPE_CHECKING:
    from typing import Unpack

    from .api import Swarm
    from .session import Session

__all__ = ["About", "Agent", "Written"]

Citation = str | Mapping[str, object]
Trailers = tuple[tuple[str, str], ...]

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


class About(TypedDict, total=False):
    """What a new entry may say of itself, beside its title and body; None is not said."""

    cite: Sequence[Citation]
    """`PATH:A-B` (lines of the caller's worktree), an entry's id, a URL, or a citation's fields."""
    entities: Sequence[str]
    """Ids, or `type:name`, or a name (of type "topic")."""
    room: str | None
    tags: Sequence[str]
    key: str | None
    """SUBJECT.ATTRIBUTE: what a fact gives the value of."""
    valid_from: str | datetime | None
    confidence: float | None
    """From 0 to 1."""
    fields: Mapping[str, object]
    """Any others of its kind."""
    force: str
    """Why it is right although a gate refuses it."""


class Agent(Owner):
    """One agent of the swarm, in one session. Writes return once they are on disk."""

    session: Session

    def __init__(
        self, swarm: Swarm, session: Session, asked: AgentName | None = None, replaced: AgentName | None = None
    ) -> None:
        super().__init__(swarm, session)
        self.asked = asked or session.agent
        """The name that was asked for; `name` differs where another worktree has it."""
        self.replaced = replaced
        """Another agent, who was the one of this worktree until this one joined."""

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
        force: str | None = None,
    ) -> Written:
        """Add an entry to this agent's log. Never refused because others write too.

        Raises BadInput, StorageError, and Refused for a text that no log of this ledger may hold, unless `force` says
        why it may.
        """
        return self.log_many([Note(text, to, task, tags, room, entities, valid_from, ref)], force)[0]

    def log_many(self, notes: Iterable[Note], force: str | None = None) -> list[Written]:
        """Add entries to this agent's log, all in one commit or none, in their order."""
        from swarm_ledger import logbook

        with self._recorded("log") as ids:
            at = self._now()
            directory, header = log_directory(self.name, at.date()), logbook.header(self.name, at.date())
            ops: list[Op] = []
            named: dict[EntryId, str] = {}
            subject, trailers = "", dict[tuple[str, str], None]()
            for note in notes:
                here, draft = _drafted(note)
                trailers |= dict.fromkeys(self._gates(draft, force))
                id = new_id("log", at, self._env.rng)
                entry = logbook.LogEntry(id, self.name, at, note.text, draft.fields)
                if note.task:
                    self._linked({"task": note.task})
                ops.append(Append(id, directory, header, logbook.section(entry)))
                ids.append(id)
                named |= here
                subject = subject or note.text
            if not ops:
                return []
            many = f" {len(ops)} entries" if len(ops) > 1 else ""
            receipt, created = self._land(f"log{many}: {subject}", ops, named, tuple(trailers))
        pairs = zip(ops, receipt.paths, strict=False)
        return [Written(EntryId(op.entry), receipt.commit, path, None, created) for op, path in pairs]

    def remember(
        self,
        title: str,
        body: str = "",
        *,
        kind: str = "fact",
        type: str | None = None,
        plan: str | None = None,
        **about: Unpack[About],
    ) -> Written:
        """Write a new entry: a fact, reflection, entity page, plan or task, with the evidence for it.

        Plans and entities are named by their title; an entity needs a `type`, a task may be of a `plan`. Raises
        BadInput, NotFound for a link that leads nowhere, Refused where such a plan or entity is there already,
        StorageError.
        """
        with self._recorded("remember") as ids:
            given, named = self._given(about, {"type": type, "plan": plan})
            trailers = self._gates(Draft(kind, title, body, given, titles=[*named.values()]), about.get("force"))
            done = self._create(kind, title, body, given, named, trailers=trailers)
            ids.append(done.id)
            ids.cited = cited(given)
        return done

    def edit(
        self,
        id: str,
        body: str | None = None,
        fields: Mapping[str, object] | None = None,
        *,
        base: str | None = None,
        release: bool = False,
        force: str | None = None,
    ) -> Written:
        """Change the text or fields of an entry (a field of None is taken out); all else stays byte for byte.

        It is based on the version that this session read last, or on `base`. A lease of it is kept, unless `release`
        says to end it with the edit. Raises Owned, Fenced or Expired where a lease forbids it, and Conflict, with the
        texts, where it changed since: then the draft is kept in a file. Raises Refused for what was never read and for
        what is never edited.
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
            self._linked(changes, named)
            draft = self._edited(known, changes, body)
            if draft == known.text:
                return Written(EntryId(id), None, known.path, known.blob)
            put = Put(id, known.path, draft, known.blob)
            trailers = self._gates(
                Draft("edit", str(changes.get("title") or ""), body or "", changes, id, [*named.values()]), force
            )
            receipt, created = self._replace(known, draft, f"edit {id}", [put], named, trailers)
        if release and Line(id) in self.session.tokens():
            with contextlib.suppress(Fenced, Expired, Refused):  # it ended since; the edit stands
                self.release(id)
        return Written(EntryId(id), receipt.commit, known.path, blob_id(draft), created)

    def supersede(
        self,
        id: str,
        title: str = "",
        body: str = "",
        *,
        by: str | None = None,
        base: str | None = None,
        **about: Unpack[About],
    ) -> Written:
        """Write a new entry in the place of `id`, which ends where the new one begins; both in one commit.

        Entities, room, tags and key are the old one's unless given. With `by`, an entry that is there already, nothing
        new is written: `id` ends now. Raises as `edit` and `remember` do.
        """
        with self._recorded("supersede", [id]) as ids:
            known = self._known(id, base, "supersede")
            kind = kind_of(id)
            if kind not in ("fact", "reflection"):
                raise Refused("supersede", f"{id} is a {kind}; facts and reflections are superseded. Use `swarm edit`.")
            old = document(known).fields
            if old.get("superseded_by"):
                raise Refused("supersede", f"{id} was superseded by {old['superseded_by']}; supersede that one.")
            if by is not None:
                return self._give_way(known, kind, by)
            kept = {name: old[name] for name in ("entities", "room", "tags", "key") if name in old}
            given, named = self._given(about)
            trailers = self._gates(Draft(kind, title, body, given, id, [*named.values()]), about.get("force"))
            done = self._create(kind, title, body, {**kept, "supersedes": [id], **given}, named, known, trailers)
            ids.append(done.id)
            ids.cited = cited(given)
        return done

    def _give_way(self, known: Version, kind: str, by: str) -> Written:
        """End the entry `known` in favour of `by`, which stands."""
        id = id_of(known.path)
        heir = self._store.read(path_of(by))
        if heir is None:
            raise no_entry(by)
        if id is None or by == id or kind_of(by) != kind:
            raise BadInput(f"{id} can be superseded by another {kind}, not by {by}.")
        if after := document(heir).fields.get("superseded_by"):
            raise Refused("supersede", f"{by} was superseded by {after}; name that one.")
        draft = self._edited(known, {"superseded_by": by, "valid_to": format_time(self._now())}, None)
        put = Put(id, known.path, draft, known.blob)
        receipt, _ = self._replace(known, draft, f"supersede {id} by {by}", [put], {})
        return Written(id, receipt.commit, known.path, blob_id(draft))

    def retract(self, id: str, why: str, *, base: str | None = None, by_hand: bool = False) -> Written:
        """Take an entry out of the ledger, leaving a tombstone that says why; both in one commit.

        Its text stays in history. Raises as `edit` does.
        """
        with self._recorded("retract", [id]):
            if not why.strip():
                raise BadInput("say why: those who read it before will want to know.")
            self._may_say(why)
            known = self._known(id, base, "retract")
            at = self._now()
            stone = tombstone_id(EntryId(id), at, self._env.rng)
            if self._store.read(path_of(stone)):  # the same id was retracted once before
                stone = new_id("tombstone", at, self._env.rng)
            buried = {"of": id, "version": known.blob, "why": why.strip()}
            title = str(document(known).fields.get("title", id))
            text = self._new_text(stone, title, "", at, buried)
            ops: list[Op] = [Delete(id, known.path, known.blob), Put(stone, path_of(stone), text, None)]
            receipt, _ = self._replace(known, None, f"retract {id}: {why}", ops, {}, by_hand=by_hand)
        return Written(EntryId(id), receipt.commit, known.path)

    def restore(self, id: str) -> Written:
        """Bring back an entry that was retracted, or that another git removed: it is there again as it was.

        Its tombstone goes in the same commit. Raises NotFound where it never was, Refused where it is there.
        """
        from .lost import writes_of

        with self._recorded("restore", [id]):
            entry = EntryId(id)
            is_log = kind_of(id) == "log"
            if self._swarm.index.get(id) if is_log else self._store.read(path_of(id)):
                raise Refused("exists", f"{id} is there; nothing is to be restored.")
            gone = None if is_log else self._retracted(entry)
            ops = writes_of(self._store, entry, *(gone[0].tombstone, gone[1]) if gone else (None, None))
            if not ops:
                raise no_entry(id)
            receipt, _ = self._land(f"restore {id}", ops, {})
        return Written(
            entry, receipt.commit, receipt.paths[0], blob_id(ops[0].text) if isinstance(ops[0], Put) else None
        )

    def commit(self, subject: str, ops: Sequence[Op], *, by_hand: bool = False) -> Receipt:
        """Commit ready-made writes in this agent's name, all or none; for imports, which bring whole entries.

        What is `by_hand` was saved in a file already, so leases do not refuse it.
        """
        with self._recorded("commit", [op.entry for op in ops]):
            return self._land(subject, ops, {}, by_hand=by_hand)[0]

    def why_not(self, what: Note | Op, verb: str | None = None) -> str:
        """Why what comes from elsewhere may not be written here: a note that is to be logged, or a ready-made write.

        "" where it may. A note must pass the gates; a write may only bring no secret. With `verb` a refusal is put into
        the record of use.
        """
        if isinstance(what, Note):
            why = next((why for _, why in self._against(_drafted(what)[1])), "")
        else:
            why = held_back(self._swarm, what)
        if why and verb:
            about = [] if isinstance(what, Note) else [what.entry]
            self._swarm.record.add(verb, self.session, about, "Refused", why)
        return why

    def _gates(self, draft: Draft, force: str | None) -> Trailers:
        """The trailers of a write of `draft`. Raises Refused where a gate does not let it through unforced."""
        against = dict(self._against(draft))
        if not against:
            return ()
        if force is None:
            rule, why = next(iter(against.items()))
            raise Refused(rule, f"{why}\nIf it is right all the same, say why: --force --why TEXT.")
        if not force.strip():
            raise BadInput("say why the gate is wrong here: --force --why TEXT.")
        if leak := leaks(self._swarm.gates, force):
            raise BadInput(f"the reason is kept too, and {leak}")
        forced = subject_line(f"{', '.join(against)}: {force}")
        self._swarm.record.add("force", self.session, [], "done", forced)
        return (("Forced", forced),)

    def _may_say(self, text: str) -> None:
        for rule, why in self._against(Draft("log", "", text, {})):
            raise Refused(rule, why)

    def _against(self, draft: Draft) -> Iterator[tuple[str, str]]:
        return objections(self._swarm, self.session, self._swarm.gates, draft)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._env.now()), UTC)

    def _given(
        self, about: About, more: Mapping[str, object] | None = None
    ) -> tuple[dict[str, object], dict[EntryId, str]]:
        """The fields that `about` and `more` come to, and the entities that they mention (id → title)."""
        if unknown := about.keys() - About.__annotations__.keys():
            raise TypeError(f"no such argument: {', '.join(sorted(unknown))}")
        fields = about.get("fields") or {}
        named = mentions([*texts(about.get("entities"), "entities"), *texts(fields.get("entities"), "entities")])
        given = {
            **(more or {}),
            "room": about.get("room"),
            "tags": texts(about.get("tags"), "tags"),
            "key": about.get("key"),
            "valid_from": when(about.get("valid_from")),
            "confidence": about.get("confidence"),
            "citations": self._citations(cite) if (cite := about.get("cite")) else [],
            **fields,
            "entities": list(named),
        }
        self._linked(given, named)
        return present(given), named

    def _linked(self, fields: Mapping[str, object], made: Collection[str] = ()) -> None:
        require_links(fields, self._store, lambda id: self._swarm.index.get(id) is not None, made)

    def _citations(self, cite: Sequence[Citation]) -> list[Mapping[str, object]]:
        from .evidence import citation

        if isinstance(cite, str):
            raise BadInput("cite: give a list, such as ['src/auth.py:10-24'].")
        place, cwd = self._swarm.place, self._swarm.cwd
        return [
            citation(item, place.worktree, cwd, self._store, self._swarm.facts) if isinstance(item, str) else item
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
        old: Version | None = None,
        trailers: Trailers = (),
    ) -> Written:
        """Write a new entry, and with `old` end that one where this one begins."""
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
                    receipt, created = self._land(f"{kind}: {title}", [put], pages, trailers)
                else:
                    ends = {"superseded_by": id, "valid_to": given.get("valid_from") or format_time(at)}
                    ended = Put(str(id_of(old.path)), old.path, self._edited(old, ends, None), old.blob)
                    subject = f"supersede {ended.entry}: {title}"
                    receipt, created = self._replace(old, text, subject, [put, ended], pages, trailers)
            except Conflict as conflict:
                if conflict.path != put.path:
                    raise
                if kind in ("plan", "entity"):
                    raise Refused(
                        "exists", f"{id} is there already; `swarm show {id}` reads it, then `swarm edit` changes it."
                    ) from None
                continue  # the same id was drawn by somebody else
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
        read = self.session.last(path) if base is None else self._version(path, base)
        now = self._store.read(path)
        if read is None and now is not None:
            raise Refused("read-first", f"{id} was not read in this session; `swarm show {id}` first, then {verb} it.")
        if read is None and (found := self._retracted(EntryId(id))):
            raise NotFound(
                f"{id} was retracted by {found[0].by}: {subject_line(found[0].why)}\n"
                f"`swarm show {id}` shows what it said, `swarm restore {id}` brings it back."
            )
        if read is None:
            raise no_entry(id)
        return now if now and now.blob == read else Version(path, read, self._store.blob(read))

    def _version(self, path: str, name: str) -> BlobId:
        """The version that `name`, all or the first digits of it, stands for. Raises BadInput, NotFound."""
        if len(name) >= 40:
            return BlobId(name)
        versions = {version for one in self._store.history(path) if (version := dict(one.changed).get(path))}
        found = [version for version in versions if name and version.startswith(name)]
        if len(found) != 1:
            many = "stands for several versions" if found else "is no version"
            raise NotFound(f"{quoted(name)} {many} of this entry; `swarm history {id_of(path)} --json` lists them.")
        return found[0]

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
        self,
        subject: str,
        ops: Sequence[Op],
        named: Mapping[EntryId, str],
        trailers: Trailers = (),
        *,
        by_hand: bool = False,
    ) -> tuple[Receipt, tuple[EntryId, ...]]:
        """Submit `ops` with pages for those of `named` that have none: (receipt, the pages made)."""
        at = self._now()
        paths = {id: path_of(id) for id in named}
        changing = {op.entry for op in ops if not isinstance(op, Append) and op.base is not None}
        tokens = self.session.tokens() if changing and not by_hand else {}
        fences = tuple(token for line, token in tokens.items() if line in changing)
        for _ in range(_ATTEMPTS):
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
                trailers,
                fences=fences,
                by_hand=by_hand,
            )
            try:
                receipt = self._store.submit(request)
            except Conflict as conflict:
                if all(page.path != conflict.path for page in pages):
                    raise
                continue  # another made that page in the meantime
            self._wrote(whole)
            return receipt, tuple(EntryId(page.entry) for page in pages)
        raise StorageError(f"others made a page at each of {_ATTEMPTS} attempts; nothing was written. Try again.")

    def _wrote(self, ops: Sequence[Op]) -> None:
        documents = [op for op in ops if not isinstance(op, Append)]
        versions = [(op.path, blob_id(op.text) if isinstance(op, Put) else None) for op in documents]
        # The write is acknowledged whatever happens here; without the note the next edit asks to read first.
        with contextlib.suppress(StorageError):
            self.session.saw(versions, self._env.now())
        for op, (path, version) in zip(documents, versions, strict=True):
            if isinstance(op, Put) and version and path.startswith(("facts/", "reflections/")):
                knows(version, op.text)

    def _replace(
        self,
        known: Version,
        draft: bytes | None,
        subject: str,
        ops: Sequence[Op],
        named: Mapping[EntryId, str],
        trailers: Trailers = (),
        *,
        by_hand: bool = False,
    ) -> tuple[Receipt, tuple[EntryId, ...]]:
        """`_land` for a write based on `known`; where others hinder it, `draft` is kept. A conflict has the texts."""
        try:
            return self._land(subject, ops, named, trailers, by_hand=by_hand)
        except Conflict as conflict:
            if conflict.path != known.path:
                raise
            raise drafts.conflict(self._store, self._swarm.place.home, self._env, known, draft) from None
        except (Owned, Fenced, Expired) as error:
            drafts.denied(error, self._swarm.place.home, self._env, known, draft)
            raise


def _drafted(note: Note) -> tuple[dict[EntryId, str], Draft]:
    """The entities that a note mentions (id → title), and what is about to be written."""
    named = mentions(note.entities)
    return named, Draft("log", "", note.text, note_meta(note, named), titles=[*named.values()])


def _ended(body: str) -> str:
    """`body` as a file holds it: a text ends in a line end."""
    return body + "\n" if body and not body.endswith("\n") else body
