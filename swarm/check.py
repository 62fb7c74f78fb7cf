"""Is the ledger in order? Every file an entry in its place, every link leads somewhere, history tells what it did.

What a plain git commit on the ledger did is looked at too: a commit in a stale checkout removes or reverts entries
although its parent is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from swarm_ledger import logbook
from swarm_ledger.entry import Document
from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import id_of, path_of
from swarm_ledger.schema import validate
from swarm_ledger.store import BlobId, Commit, Store

from .links import cited_versions, targets

__all__ = ["Finding", "Report", "check"]

SETTINGS = "swarm.yaml"
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not in order. `severity` is "error" or "warn", `where` a path or a commit."""

    severity: str
    rule: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what was found."""

    entries: int
    commits: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no error was found; warnings are for people."""
        return all(finding.severity != "error" for finding in self.findings)


def check(store: Store) -> Report:
    """Look at every file and every commit of `store`. Writes nothing."""
    tree = dict(store.paths())
    ids: Counter[str] = Counter()
    links: list[tuple[str, str, str]] = []
    findings = list(_files(store, tree, ids, links))
    findings += _duplicates(ids)
    buried = _buried(store, tree)
    findings += _links(links, ids, buried)
    commits = list(store.history())
    commits.reverse()
    findings += _History(store).walk(commits, tree)
    return Report(sum(ids.values()), len(commits), tuple(findings))


def _files(
    store: Store, tree: Mapping[str, BlobId], ids: Counter[str], links: list[tuple[str, str, str]]
) -> Iterator[Finding]:
    """Findings about single files; tells `ids` what is there and `links` (path, field, target) what is linked."""
    paths = [path for path in tree if path != SETTINGS]
    for start in range(0, len(paths), _CHUNK):
        for path, version in store.read_many(paths[start : start + _CHUNK]).items():
            try:
                if path.startswith("log/"):
                    yield from _log(path, version.text, ids, links)
                else:
                    yield from _document(path, version.text, ids, links, store)
            except BadInput as error:
                yield Finding("error", "parse", path, str(error))


def _log(path: str, text: bytes, ids: Counter[str], links: list[tuple[str, str, str]]) -> Iterator[Finding]:
    entries = logbook.parse(text)
    for entry in entries:
        ids[entry.id] += 1
        links += [(path, field, target) for field, target in targets(entry.meta)]
        directory = f"log/{entry.at:%Y/%m/%d}/{entry.by}/"
        if not path.startswith(directory):
            yield Finding("error", "place", path, f"{entry.id} of {entry.by} belongs in {directory}")
    if not entries:
        yield Finding("warn", "empty", path, "a log file without an entry")


def _document(
    path: str, text: bytes, ids: Counter[str], links: list[tuple[str, str, str]], store: Store
) -> Iterator[Finding]:
    id = id_of(path)
    if id is None:
        yield Finding("error", "place", path, "no entry can be at this path; move it out of the ledger")
        return
    document = Document.parse(text)
    validate(document.fields, document.body)
    ids[id] += 1
    if document.fields.get("id") != id:
        yield Finding("error", "place", path, f"its id is {document.fields.get('id')!r}, its path says {id}")
    links += [(path, field, target) for field, target in targets(document.fields)]
    for version in cited_versions(document.fields):
        try:
            store.blob(BlobId(version))
        except NotFound:
            yield Finding("error", "citation", path, f"cites version {version}, which this ledger does not hold")


def _path(entry: str) -> str:
    """Where the entry that a trailer names lies; "" for what is no file of its own."""
    try:
        return entry if entry == SETTINGS or entry.startswith("log/") else path_of(entry)
    except BadInput:
        return ""


def _duplicates(ids: Counter[str]) -> Iterator[Finding]:
    for id, number in ids.items():
        if number > 1:
            yield Finding("error", "unique", id, f"there are {number} entries with this id")


def _buried(store: Store, tree: Mapping[str, BlobId]) -> frozenset[str]:
    paths = [path for path in tree if path.startswith("tombstones/")]
    out = set()
    for version in store.read_many(paths).values():
        try:
            out.add(str(Document.parse(version.text).fields.get("of")))
        except BadInput:
            continue  # reported already
    return frozenset(out)


def _links(links: Iterable[tuple[str, str, str]], ids: Counter[str], buried: frozenset[str]) -> Iterator[Finding]:
    for path, field, target in links:
        if target in ids:
            continue
        if target in buried:
            yield Finding("warn", "link", path, f"{field}: {target} was retracted")
        else:
            yield Finding("error", "link", path, f"{field}: there is no entry {target}")


class _History:
    """Replays commits, oldest first, and holds what each changed against what it says."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._now: dict[str, BlobId] = {}
        self._once: dict[str, set[BlobId]] = {}
        """Path → every version it ever had."""
        self._requests: dict[str, str] = {}

    def walk(self, commits: Iterable[Commit], tree: Mapping[str, BlobId]) -> Iterator[Finding]:
        """Findings about `commits`, and about a `tree` that is not what they lead to."""
        for commit in commits:
            trailers = dict(commit.trailers)
            if "Agent" in trailers and "Request" in trailers:
                yield from self._ours(commit, trailers)
            else:
                yield from self._foreign(commit, tree)
            for path, version in commit.changed:
                if version is None:
                    self._now.pop(path, None)
                else:
                    self._now[path] = version
                    self._once.setdefault(path, set()).add(version)
        for path in sorted({*self._now, *tree}):
            if self._now.get(path) != tree.get(path):
                yield Finding("error", "state", path, "is not what history says it is; run `swarm doctor`")

    def _ours(self, commit: Commit, trailers: Mapping[str, str]) -> Iterator[Finding]:
        def wrong(rule: str, message: str) -> Finding:
            return Finding("error", rule, commit.id, message)

        if trailers["Agent"] != commit.author:
            yield wrong("author", f"authored by {commit.author}, but its trailer says {trailers['Agent']}")
        first = self._requests.setdefault(trailers["Request"], commit.id)
        if first != commit.id:
            yield wrong("once", f"request {trailers['Request']} is in history twice, first in {first}")
        changed = dict(commit.changed)
        unnamed = set(changed)
        values = [value for name, value in commit.trailers if name in ("Entry", "Base")]
        for entry, base in zip(values[::2], values[1::2], strict=False):
            if base == "append":
                files = [path for path in changed if path.startswith("log/")]
                unnamed -= set(files)
                if not files:
                    yield wrong("trailers", f"says that it appends {entry}, but changes no log")
                continue
            path = _path(entry)
            if path not in changed:
                yield wrong("trailers", f"says that it writes {entry}, but does not change it")
            elif base != self._now.get(path, "none"):
                yield wrong("base", f"says that it replaces {base} at {path}, where {self._now.get(path, 'none')} was")
            unnamed.discard(path)
        # A merge brings what commits of the other host say for themselves.
        for path in sorted(unnamed) if "Merge" not in trailers else ():
            yield wrong("trailers", f"changes {path}, which it does not name")

    def _foreign(self, commit: Commit, tree: Mapping[str, BlobId]) -> Iterator[Finding]:
        """What another git did. What it took away is an error until it is there again, in `tree`."""

        def lost(message: str) -> Finding:
            return Finding("error", "foreign", commit.id, message)

        yield Finding("warn", "foreign", commit.id, f"was made by another git ({commit.author}: {commit.subject})")
        for path, version in commit.changed:
            was = self._now.get(path)
            if path.startswith("log/") and was:
                for id in sorted(self._sections(was) - self._sections(version) - self._sections(tree.get(path))):
                    yield lost(f"removed {id} from {path}; `swarm restore {id}` brings it back")
            elif version is None and path not in tree:
                entry = id_of(path)
                way = f"`swarm restore {entry}` brings it back" if entry else f"`swarm git show {was}` shows it"
                yield lost(f"removed {path}; {way}")
            elif version in self._once.get(path, ()) and version != was and version == tree.get(path):
                yield lost(f"set {path} back to an older version; `swarm git show {was}` shows the newer one")

    def _sections(self, version: BlobId | None) -> set[str]:
        try:
            return {entry.id for entry in logbook.parse(self._store.blob(version))} if version else set()
        except (BadInput, NotFound):
            return set()
