"""Merging: what two versions of a file come to, and that any order of merging among hosts leads to the same tree."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_ledger import logbook
from swarm_ledger.diff3 import merge_lines
from swarm_ledger.entry import REMOVED, Document
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import AgentName, EntryId
from swarm_ledger.merge import merge
from swarm_ledger.schema import validate
from swarm_ledger.store import CommitId

from .worlds import Obvious, World

FACT = "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"
ENTITY = "entities/service/login.md"
STONE = "tombstones/2026/11/21/7/tombstone-261121-7k3q9m2x.md"
LOG = "log/2026/11/21/ada/0000.md"
ODD = "notes.txt"
SETTINGS = "swarm.yaml"


def fact(body: str = "one\ntwo\nthree\n", **fields: object) -> bytes:
    given = {"id": "fact-261121-7k3q9m2x", "kind": "fact", "title": "Tokens", "by": "ada", "at": "2026-11-21T10:54:03Z"}
    return Document.create({**given, "rev": 1, **fields}, body).data


def read(text: bytes | None) -> tuple[dict[str, object], str]:
    assert text is not None
    document = Document.parse(text)
    return dict(document.fields), document.body


def note(number: int, text: str, second: int = 0) -> bytes:
    at = datetime(2026, 11, 21, 10, 54, second, tzinfo=UTC)
    return logbook.section(logbook.LogEntry(EntryId(f"log-261121-0000000{number}"), AgentName("ada"), at, text))


HEAD = logbook.header("ada", datetime(2026, 11, 21, tzinfo=UTC).date())


def test_changes_of_different_lines_are_both_kept() -> None:
    """One side changed the first line, the other added one at the end."""
    assert merge_lines("a\nb\nc\n", "A\nb\nc\n", "a\nb\nc\nd\n") == "A\nb\nc\nd\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [("a\nb\n", "A\nb\n", "x\nb\n"), ("a\nb\n", "A\nb\n", "a\nB\n"), ("", "a\n", "b\n"), ("a\nb\n", "b\n", "A\nb\n")],
)
def test_changes_of_the_same_place_are_not_guessed(base: str, ours: str, theirs: str) -> None:
    """Two texts for one line, changes side by side, two additions at one place, a removal against a change."""
    assert merge_lines(base, ours, theirs) is None


@given(st.lists(st.sampled_from("abc\n"), max_size=8), st.lists(st.sampled_from("abc\n"), max_size=8))
def test_lines_of_one_changed_side_are_taken_whole(base: list[str], new: list[str]) -> None:
    """What only one side changed is as that side has it, and what both changed alike is that."""
    old, text = "".join(base), "".join(new)
    assert merge_lines(old, text, old) == merge_lines(old, old, text) == merge_lines(old, text, text) == text


def test_a_long_change_is_not_searched_for_common_lines() -> None:
    """2,001 lines against 2,001 others is one change; it takes no time, and the rest is still merged."""
    left = "".join(f"left {n}\n" for n in range(2001))
    right = "".join(f"right {n}\n" for n in range(2001))
    assert merge_lines("a\nb\nc\n", f"a\n{left}c\n", f"a\n{right}c\n") is None
    assert merge_lines("a\nb\nc\n", f"a\n{left}c\n", "a\nb\nc\nd\n") == f"a\n{left}c\nd\n"


def test_fields_and_body_are_merged_apart() -> None:
    """A new title here, a new status and body there: all three stand, and `rev` is the greater."""
    base = fact()
    ours = Document.parse(base).edit({"title": "New", "rev": 2}).data
    theirs = Document.parse(base).edit({"status": "active", "rev": 3}, body="one\ntwo\nthree\nfour\n").data
    merged = merge(FACT, base, ours, theirs)
    fields, body = read(merged.text)
    assert (fields["title"], fields["status"], fields["rev"]) == ("New", "active", 3)
    assert body == "one\ntwo\nthree\nfour\n"
    assert merged.lost == ()


def test_lists_are_merged_as_sets() -> None:
    """What either added is there, what either took out is not."""
    base, ours, theirs = (fact(tags=tags) for tags in (["a", "b"], ["a", "c"], ["a", "b", "d"]))
    fields, _ = read(merge(FACT, base, ours, theirs).text)
    assert fields["tags"] == ["a", "c", "d"]


def test_one_id_and_a_list_of_ids_are_merged() -> None:
    """A fact superseded on two hosts is superseded by both, from the earlier moment."""
    base = fact()
    ours = fact(superseded_by="fact-261121-aaaaaaaa", valid_to="2026-11-22T00:00:00Z")
    theirs = fact(superseded_by="fact-261121-bbbbbbbb", valid_to="2026-11-21T23:00:00Z")
    merged = merge(FACT, base, ours, theirs)
    fields, _ = read(merged.text)
    assert fields["superseded_by"] == ["fact-261121-aaaaaaaa", "fact-261121-bbbbbbbb"]
    assert fields["valid_to"] == "2026-11-21T23:00:00Z"
    assert merged.lost == ()


def test_what_both_changed_differently_stays_as_the_first_has_it_and_is_named() -> None:
    """The title and the body conflict, the status does not."""
    ours = fact("one\nOURS\nthree\n", title="Ours")
    theirs = fact("one\nTHEIRS\nthree\n", title="Theirs", status="done")
    merged = merge(FACT, fact(), ours, theirs)
    fields, body = read(merged.text)
    assert (fields["title"], fields["status"], body) == ("Ours", "done", "one\nOURS\nthree\n")
    assert merged.lost == ("title", "body")


def test_a_comment_is_never_dropped_silently() -> None:
    """A comment that one side wrote into the front matter is named as lost where the merge cannot keep it."""
    base = fact()
    ours = base.replace(b"title: Tokens", b"title: New")
    theirs = base.replace(b"kind: fact", b"kind: fact  # as agreed")
    assert merge(FACT, base, ours, theirs).lost == ("comments",)
    assert merge(FACT, base, theirs, ours).lost == ()


def test_pages_of_one_entity_made_on_two_hosts_are_one() -> None:
    """The earlier page's `by` and `at` stand, and the other title becomes an alias."""

    def page(by: str, at: str, title: str) -> bytes:
        fields = {"id": "entity-service-login", "kind": "entity", "title": title, "by": by, "at": at, "rev": 1}
        return Document.create({**fields, "type": "service"}, "").data

    first = page("bo", "2026-11-21T11:00:00Z", "Login")
    second = page("ada", "2026-11-21T10:00:00Z", "the login")
    merged = merge(ENTITY, None, first, second)
    fields, _ = read(merged.text)
    assert (fields["title"], fields["by"], fields["at"]) == ("Login", "ada", "2026-11-21T10:00:00Z")
    assert fields["aliases"] == ["the login"]
    assert merged.lost == ()


def test_tombstones_of_one_entry_are_one() -> None:
    """Both reasons stand."""

    def stone(by: str, at: str, why: str) -> bytes:
        fields = {"id": "tombstone-261121-7k3q9m2x", "kind": "tombstone", "by": by, "at": at, "rev": 1}
        return Document.create({**fields, "of": "fact-261121-7k3q9m2x", "version": "0" * 40, "why": why}, "").data

    merged = merge(
        STONE, None, stone("bo", "2026-11-21T11:00:00Z", "wrong"), stone("ada", "2026-11-21T10:00:00Z", "old")
    )
    fields, _ = read(merged.text)
    assert (fields["by"], fields["why"], merged.lost) == ("ada", "old\nwrong", ())


def test_a_merge_never_makes_an_invalid_entry_of_valid_ones() -> None:
    """valid_from set after what the other side set as valid_to: the first version stands whole."""
    ours, theirs = fact(valid_from="2026-11-22"), fact(valid_to="2026-11-21")
    ours = fact(valid_from="2026-11-22T00:00:00Z")
    theirs = fact(valid_to="2026-11-21T00:00:00Z")
    merged = merge(FACT, fact(), ours, theirs)
    assert merged.text == ours
    assert merged.lost == ("text",)


def test_logs_are_merged_by_section_in_order_of_time() -> None:
    """Both hosts' sections are there once each, beyond 32 in a file if need be."""
    base = HEAD + note(1, "first", 1)
    ours = base + note(3, "## 10:54:03 log-261121-00000009 is no heading", 3)
    theirs = base + note(2, "second", 2) + note(4, "fourth", 4)
    merged = merge(LOG, base, ours, theirs)
    assert merged.lost == ()
    assert merged.text == HEAD + note(1, "first", 1) + note(2, "second", 2) + note(
        3, "## 10:54:03 log-261121-00000009 is no heading", 3
    ) + note(4, "fourth", 4)


def test_a_section_that_was_taken_out_stays_out() -> None:
    """Unless the other side changed it."""
    both = HEAD + note(1, "secret", 1) + note(2, "kept", 2)
    gone = HEAD + note(2, "kept", 2)
    grown = both + note(3, "new", 3)
    assert merge(LOG, both, gone, grown).text == gone + note(3, "new", 3)
    changed = HEAD + note(1, "public", 1) + note(2, "kept", 2)
    assert merge(LOG, both, gone, changed).text == changed


def test_texts_of_one_second_keep_their_order() -> None:
    """Sections of the same time stay in the order in which their side has them."""
    ours = HEAD + note(5, "a") + note(4, "b")
    assert merge(LOG, HEAD, ours, HEAD + note(6, "c", 1)).text == ours + note(6, "c", 1)


def test_settings_are_merged_by_field() -> None:
    """Two fresh ledgers whose programs word the comment differently agree."""
    first, second = b"# Settings\nformat: 1\n", b"# Other words\nformat: 1\nrooms: [a]\n"
    merged = merge(SETTINGS, None, first, second)
    assert (merged.text, merged.lost) == (b"# Settings\nformat: 1\nrooms: [a]\n", ())


@pytest.mark.parametrize("path", [FACT, LOG, SETTINGS, ODD])
def test_what_does_not_parse_is_merged_as_text(path: str) -> None:
    """Line by line where that works, else the first stands and the other is named lost; no conflict markers."""
    assert merge(path, b"[\nb\nc\n", b"[A\nb\nc\n", b"[\nb\nc\nd\n").text == b"[A\nb\nc\nd\n"
    merged = merge(path, b"[", b"[x", b"[\xff")
    assert (merged.text, merged.lost) == (b"[x", ("text",))


WORDS = ("title", "tag", "untag", "line", "unline", "reline", "log", "odd", "settings", "garbage", "retract", "delete")
WRITE = st.tuples(st.sampled_from(WORDS), st.integers(0, 5))
EVENT = st.tuples(st.integers(0, 2), st.one_of(st.integers(0, 2), WRITE, WRITE, WRITE), st.integers(0, 3))
"""(host, a host to merge with or a write, a clock's step)."""

_TOKEN = re.compile(rb"w[0-9]+e")


class Hosts:
    """Three hosts that write and merge; each write brings a token, and `removed` says which a write took out."""

    def __init__(self, seed: int) -> None:
        self.world = World()
        self.rng = random.Random(seed)
        start = self.world.write(None, "swarm", {SETTINGS: b"format: 1\n", FACT: fact()}, 1_700_000_000)
        self.tips = [start] * 3
        if self.rng.random() < 0.3:  # ledgers that began apart
            self.tips[1:] = [self.world.write(None, f"{n}", {SETTINGS: b"format: 1\n"}, 1) for n in range(2)]
        self.at = 1_700_000_000
        self.added: set[bytes] = set()
        self.removed: set[bytes] = set()

    def write(self, host: int, kind: str, place: int) -> None:
        token = f"w{len(self.world.commits)}e"
        texts = self._texts(host, kind, place, token)
        if not texts:
            return
        before = {path: self.world.text(self.tips[host], path) or b"" for path in texts}
        for path, text in texts.items():
            self.added |= set(_TOKEN.findall(text or b""))
            self.removed |= set(_TOKEN.findall(before[path])) - set(_TOKEN.findall(text or b""))
        self.tips[host] = self.world.write(self.tips[host], f"h{host}", texts, self.at)

    def _texts(self, host: int, kind: str, place: int, token: str) -> dict[str, bytes | None]:
        tree = self.world.commits[self.tips[host]].tree
        # A contested entry is a document like any other: it is edited and taken out too.
        documents = sorted(path for path in tree if path.startswith(("facts/", "contested/")))
        path = documents[place % len(documents)] if documents else FACT
        now = self.world.text(self.tips[host], path)
        if kind == "log":
            log = self.world.text(self.tips[host], LOG) or HEAD
            id = f"log-261121-{len(self.world.commits):08d}"
            at = datetime(2026, 11, 21, 10, 54, place, tzinfo=UTC)
            return {LOG: log + logbook.section(logbook.LogEntry(EntryId(id), AgentName("ada"), at, token))}
        if kind == "odd":
            lines = (self.world.text(self.tips[host], ODD) or b"a\nb\nc\n").splitlines(keepends=True)
            lines.insert(place, token.encode() + b"\n")
            return {ODD: b"".join(lines)}
        if now is None:
            return {path: fact(f"{token}\n")}
        if kind == "settings":
            settings = self.world.text(self.tips[host], SETTINGS) or b""
            return {SETTINGS: settings + f"k{len(self.world.commits)}: {token}\n".encode()}
        if kind == "garbage":
            return {path: now + b"---\n" + token.encode() if place else b"no front matter " + token.encode()}
        if kind == "delete":
            return {path: None}
        if kind == "retract":
            stone = Document.create({"id": "x", "kind": "tombstone", "why": token, "at": str(self.at)}, "").data
            return {path: None, f"tombstones/{token}.md": stone}
        try:
            document = Document.parse(now)
            fields, lines = dict(document.fields), document.body.splitlines(keepends=True)
        except BadInput:
            return {path: fact(f"{token}\n")}
        tags = fields.get("tags", [])
        assert isinstance(tags, list)
        changes: dict[str, object] = {"rev": self.rng.randrange(9)}
        if kind == "title":
            changes["title"] = token
        elif kind == "tag":
            changes["tags"] = [*tags, token]
        elif kind == "untag":
            changes["tags"] = tags[1:] or REMOVED
        elif kind == "line":
            lines.insert(place, token + "\n")
        elif lines:
            lines[place % len(lines)] = token + "\n" if kind == "reline" else ""
        return {path: document.edit(changes, body="".join(lines)).data}


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENT, max_size=24), st.integers(0, 2**32))
def test_every_order_of_merging_gives_the_tree_of_the_obvious_version(
    events: list[tuple[int, int | tuple[str, int], int]], seed: int
) -> None:
    """Three hosts write and merge at random, criss-cross included. Every tree on the way, and the last one in whatever
    order it comes about, is what the set of writes comes to; what nobody knowingly took out is in it."""
    check_orders(events, seed)


def check_orders(events: list[tuple[int, int | tuple[str, int], int]], seed: int) -> World:
    hosts = Hosts(seed)
    world = hosts.world
    for host, what, clock in events:
        hosts.at += clock - 1  # clocks of hosts disagree
        if isinstance(what, tuple):
            hosts.write(host, *what)
        else:
            hosts.tips[host] = world.merge(hosts.tips[host], hosts.tips[what], hosts.rng)
    ends = [merged(world, hosts.tips, hosts.rng) for _ in range(3)]
    trees = [world.commits[end].tree for end in ends]
    assert trees[0] == trees[1] == trees[2]
    obvious = Obvious(world)
    for tip in [*hosts.tips, ends[0]]:
        tree = {path: world.blobs[blob] for path, blob in world.commits[tip].tree.items()}
        assert tree == obvious.tree(tip)
    whole = b"".join(world.blobs[blob] for blob in trees[0].values())
    assert hosts.added - hosts.removed <= set(_TOKEN.findall(whole))
    for path, blob in trees[0].items():
        if path.startswith("contested/") and path not in {p for c in world.commits.values() for p in c.writes}:
            document = Document.parse(world.blobs[blob])
            validate(document.fields, document.body)
    return world


def merged(world: World, tips: list[CommitId], rng: random.Random) -> CommitId:
    """The commit in which all of `tips` came together, in a random order with detours."""
    todo = list(tips)
    for _ in range(rng.randrange(3)):  # merges that others repeat: the criss-cross
        i, j = rng.randrange(len(todo)), rng.randrange(len(todo))
        todo.append(world.merge(todo[i], todo[j], rng))
    rng.shuffle(todo)
    while len(todo) > 1:
        left, right = todo.pop(), todo.pop(rng.randrange(len(todo)))
        todo.append(world.merge(left, right, rng, cut=rng.random() < 0.5))
    return todo[0]
