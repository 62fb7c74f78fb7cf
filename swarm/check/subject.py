"""What is checked: the files of a ledger, each read once for all checks, and its commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger import logbook
from swarm_ledger.entry import Document
from swarm_ledger.errors import BadInput, Busy
from swarm_ledger.ids import EntryId, id_of
from swarm_ledger.schema import validate
from swarm_ledger.store import BlobId, Commit, Store

from ..factindex import digests, is_active
from ..gates import Policy, policy
from ..guard import Guard
from ..links import cited_versions, targets
from ..saying import said_in, sketch
from ..secrets import secret_in_file
from .finding import Finding

if TYPE_CHECKING:
    from ..api import Swarm

__all__ = ["SETTINGS", "WORKFLOW", "Branch", "Entries", "Subject"]

SETTINGS, WORKFLOW = "swarm.yaml", ".github/workflows/ledger.yml"
_CHUNK = 512
_LOOKS = 100
"""So often it is tried to see the files of one commit while others write."""


class Branch(NamedTuple):
    """A branch of the code that is to be merged: the commits of `tip` that `base` does not have."""

    tip: str
    base: str
    guard: Guard | None
    """Asks who owns what; None where no leases are kept, so that nobody knows."""


class Subject:
    """A ledger as it stood when the check began; what several checks need is read once, when the first asks.

    Others may write meanwhile: its files and its history are those of one commit. Raises Busy where that is not to be
    had.

    `swarm` is the ledger seen from a directory, for the checks that look beyond its files; None leaves those out.
    `code` is whether there is code to look at.
    """

    def __init__(
        self, store: Store, branch: Branch | None = None, swarm: Swarm | None = None, code: bool = False
    ) -> None:
        self.store, self.branch, self.swarm, self.code = store, branch, swarm, code
        self.tree: dict[str, BlobId]
        """Path → version of every file."""
        for _ in range(_LOOKS):
            self._tip = store.tip()
            self.tree = dict(store.paths())
            if store.tip() == self._tip:
                return
        raise Busy("others write all the time, so that no moment could be looked at; try again.")

    @cached_property
    def entries(self) -> Entries:
        """What the files hold."""
        return Entries(self)

    @cached_property
    def gates(self) -> Policy:
        """What writes to the ledger must pass. Raises BadInput where its settings say nothing that can be."""
        settings = self.store.read(SETTINGS)
        return policy(settings.text if settings else None)

    def forced(self, gate: str) -> frozenset[str]:
        """Ids of the entries that somebody wrote with a reason although `gate` refused them."""
        return frozenset(
            entry
            for commit in self.commits
            if any(name == "Forced" and gate in value.partition(":")[0] for name, value in commit.trailers)
            for name, entry in commit.trailers
            if name == "Entry"
        )

    @cached_property
    def commits(self) -> list[Commit]:
        """The history, oldest first."""
        whole = [*self.store.history()]
        until = [number for number, commit in enumerate(whole) if commit.id == self._tip]
        return whole[until[0] if until else 0 :][::-1]

    def texts(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Those of `paths` with their texts."""
        for start in range(0, len(paths), _CHUNK):
            part = paths[start : start + _CHUNK]
            now = self.store.read_many(part)
            for path in part:
                version = now.get(path)
                same = version is not None and version.blob == self.tree[path]
                yield path, version.text if version and same else self.store.blob(self.tree[path])


class Entries:
    """One pass over all files: what is wrong with single ones, and what of them the other checks need."""

    def __init__(self, subject: Subject) -> None:
        self.ids: Counter[str] = Counter()
        self.links: list[tuple[str, str, str]] = []
        """(path, field, id) of each entry that an entry names."""
        self.versions: list[tuple[str, str]] = []
        """(path, version) of each version of an entry that an entry cites."""
        self.buried: set[str] = set()
        """Ids that a tombstone stands for."""
        self.facts: dict[str, str] = {}
        """Path → id of each active fact."""
        self.cited: dict[str, list[str]] = {}
        """Id → names of what an active fact or reflection cites."""
        self.sketches: dict[str, list[int]] = {}
        """Path → the sketch of what it says."""
        paths = [path for path in subject.tree if path != SETTINGS]
        self.findings: list[Finding] = []
        self.secrets: list[tuple[str, str, str]] = []
        """(path, id, kind) of each entry that holds what looks like a secret."""
        for path, text in subject.texts(paths):
            try:
                look = self._log if path.startswith("log/") else self._document
                self.findings += look(path, text)
            except BadInput as error:
                self.findings.append(Finding("error", "parse", path, str(error)))

    def _log(self, path: str, text: bytes) -> Iterator[Finding]:
        entries = logbook.parse(text)
        for entry in entries:
            self.ids[entry.id] += 1
            self._scan(path, entry.id, logbook.section(entry))
            self.links += [(path, field, target) for field, target in targets(entry.meta)]
            directory = f"log/{entry.at:%Y/%m/%d}/{entry.by}/"
            if not path.startswith(directory):
                yield Finding("error", "place", path, f"{entry.id} of {entry.by} belongs in {directory}")
        if not entries:
            yield Finding("warn", "empty", path, "a log file without an entry")

    def _document(self, path: str, text: bytes) -> Iterator[Finding]:
        id = id_of(path)
        if path == WORKFLOW:
            return
        if id is None:
            yield Finding("error", "place", path, "no entry can be at this path; move it out of the ledger")
            return
        self._scan(path, id, text)
        document = Document.parse(text)
        if id.startswith("tombstone-"):
            self.buried.add(str(document.fields.get("of")))
        validate(document.fields, document.body)
        self._keep(path, id, document)
        if path.startswith(("facts/", "reflections/")) and is_active(document.fields):
            self.cited[id] = digests(document.fields)
        if path.startswith("facts/") and is_active(document.fields):
            self.facts[path] = id
            self.sketches[path] = sketch(said_in(text))
        if document.fields.get("id") != id:
            yield Finding("error", "place", path, f"its id is {document.fields.get('id')!r}, its path says {id}")

    def _scan(self, path: str, id: str, text: bytes) -> None:
        if kind := secret_in_file(text):
            self.secrets.append((path, id, kind))

    def _keep(self, path: str, id: EntryId, document: Document) -> None:
        self.ids[id] += 1
        self.links += [(path, field, target) for field, target in targets(document.fields)]
        self.versions += [(path, version) for version in cited_versions(document.fields)]
