"""What every store promises, held against the memory store and the git store alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm_ledger.errors import BadInput, Conflict, NotFound
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Append, Delete, Put, Request, Store

Make = Callable[..., Request]
HELLO = b"---\nid: fact-261121-7k3q9m2x\n---\nhello\n"


def put(path: str, text: bytes, base: bytes | None = None) -> Put:
    return Put(path.rpartition("/")[2].removesuffix(".md"), path, text, blob_id(base) if base is not None else None)


def append(text: bytes, directory: str = "log/2026/11/21/ada/") -> Append:
    return Append("log-261121-7k3q9m2x", directory, b"HEAD\n", b"## 10:54:03 log-261121-7k3q9m2x\n\n" + text + b"\n")


def test_an_empty_store_has_no_tip_and_no_paths(store: Store) -> None:
    """Before the first commit there is nothing to see."""
    assert store.tip() is None
    assert list(store.paths()) == []
    assert store.read("facts/a.md") is None
    assert list(store.history()) == []


def test_a_write_is_read_back_with_its_version(store: Store, make_request: Make) -> None:
    """What was acknowledged is what is read, named by git's blob id."""
    receipt = store.submit(make_request(put("facts/a.md", HELLO)))
    assert receipt.commit == store.tip()
    assert receipt.paths == ("facts/a.md",)
    version = store.read("facts/a.md")
    assert version is not None
    assert (version.path, version.text) == ("facts/a.md", HELLO)
    assert version.blob == blob_id(HELLO) and len(version.blob) == 40
    assert store.blob(version.blob) == HELLO


def test_creating_what_exists_is_a_conflict_that_names_the_version(store: Store, make_request: Make) -> None:
    """Nothing is overwritten by a request that did not know it was there."""
    store.submit(make_request(put("facts/a.md", HELLO)))
    with pytest.raises(Conflict) as caught:
        store.submit(make_request(put("facts/a.md", b"other")))
    assert (caught.value.path, caught.value.base, caught.value.current) == ("facts/a.md", None, blob_id(HELLO))
    assert store.read("facts/a.md").text == HELLO  # type: ignore[union-attr]


def test_an_update_of_a_stale_version_is_refused(store: Store, make_request: Make) -> None:
    """Two edits of one version: the second is told what is there now."""
    store.submit(make_request(put("facts/a.md", b"one")))
    store.submit(make_request(put("facts/a.md", b"two", base=b"one")))
    with pytest.raises(Conflict) as caught:
        store.submit(make_request(put("facts/a.md", b"three", base=b"one")))
    assert caught.value.current == blob_id(b"two")
    assert store.blob(blob_id(b"one")) == b"one"


def test_a_request_lands_whole_or_not_at_all(store: Store, make_request: Make) -> None:
    """A conflict in the last of three writes leaves none of them."""
    store.submit(make_request(put("facts/b.md", b"b")))
    tip = store.tip()
    with pytest.raises(Conflict):
        store.submit(make_request(append(b"text"), put("facts/a.md", b"a"), put("facts/b.md", b"x")))
    assert store.tip() == tip
    assert [path for path, _ in store.paths()] == ["facts/b.md"]


def test_the_same_request_twice_is_in_history_once(store: Store, make_request: Make) -> None:
    """A request's id makes it idempotent, and the second answer is the first."""
    request = make_request(append(b"once"), put("facts/a.md", HELLO))
    first = store.submit(request)
    again = store.submit(request)
    assert (again.commit, again.paths) == (first.commit, first.paths)
    assert len(list(store.history())) == 1


def test_appends_share_a_file_until_it_holds_32(store: Store, make_request: Make) -> None:
    """The 33rd entry of a day begins the second file."""
    paths = [store.submit(make_request(append(b"%d" % i))).paths[0] for i in range(34)]
    assert paths[31:] == ["log/2026/11/21/ada/0000.md", *["log/2026/11/21/ada/0001.md"] * 2]
    first = store.read("log/2026/11/21/ada/0000.md")
    assert first is not None and first.text.startswith(b"HEAD\n## 10:54:03") and first.text.count(b"## 10:54") == 32


def test_one_request_may_append_over_the_end_of_a_file(store: Store, make_request: Make) -> None:
    """Forty appends of one request fill one file and begin the next, in one commit."""
    receipt = store.submit(make_request(*(append(b"%d" % i) for i in range(40))))
    assert receipt.paths.count("log/2026/11/21/ada/0000.md") == 32
    assert receipt.paths.count("log/2026/11/21/ada/0001.md") == 8


def test_a_long_log_file_is_closed_by_its_bytes(store: Store, make_request: Make) -> None:
    """A file that would pass 64 KiB is left, whatever its number of entries."""
    store.submit(make_request(append(b"x" * 60_000)))
    assert store.submit(make_request(append(b"y" * 10_000))).paths == ("log/2026/11/21/ada/0001.md",)


def test_a_stranger_among_the_log_files_is_left_alone(store: Store, make_request: Make) -> None:
    """Appends go to the numbered files, whatever else stands beside them."""
    store.submit(make_request(put("log/2026/11/21/ada/zzz.md", b"notes")))
    assert store.submit(make_request(append(b"1"))).paths == ("log/2026/11/21/ada/0000.md",)
    assert store.submit(make_request(append(b"2"))).paths == ("log/2026/11/21/ada/0000.md",)


def test_a_removed_file_is_gone_and_its_text_stays_in_history(store: Store, make_request: Make) -> None:
    """Deleting names the version; the version can still be read."""
    store.submit(make_request(put("facts/x/a.md", HELLO)))
    store.submit(make_request(Delete("a", "facts/x/a.md", blob_id(HELLO))))
    assert store.read("facts/x/a.md") is None
    assert list(store.paths("facts/")) == []
    assert store.blob(blob_id(HELLO)) == HELLO
    assert [commit.changed for commit in store.history("facts/x/a.md")] == [
        (("facts/x/a.md", None),),
        (("facts/x/a.md", blob_id(HELLO)),),
    ]


def test_paths_are_listed_by_prefix_in_order(store: Store, make_request: Make) -> None:
    """A prefix is a directory: facts/ does not list facts-old/."""
    store.submit(make_request(*(put(p, b"x") for p in ("facts/b.md", "facts/a/z.md", "facts-old/a.md", "log/a.md"))))
    assert [path for path, _ in store.paths("facts/")] == ["facts/a/z.md", "facts/b.md"]
    assert len(list(store.paths())) == 4


def test_history_names_author_request_and_bases(store: Store, make_request: Make) -> None:
    """A commit says who wrote it, by which request, and which versions it replaced."""
    store.submit(make_request(put("facts/a.md", b"one"), agent="bo", id="r1"))
    store.submit(make_request(put("facts/a.md", b"two", base=b"one"), append(b"t"), agent="ada", id="r2"))
    newest, oldest = store.history()
    assert (newest.author, oldest.author) == ("ada", "bo")
    assert newest.parents == (oldest.id,)
    assert newest.trailers == (
        ("Agent", "ada"),
        ("Session", "s1"),
        ("Request", "r2"),
        ("Entry", "a"),
        ("Base", blob_id(b"one")),
        ("Entry", "log-261121-7k3q9m2x"),
        ("Base", "append"),
    )
    assert dict(newest.changed)["facts/a.md"] == blob_id(b"two")
    assert (newest.at, newest.subject) == (1_763_722_443, "a write")
    assert [commit.id for commit in store.history(limit=1)] == [newest.id]


def test_changes_since_a_mark_are_exactly_what_changed(store: Store, make_request: Make) -> None:
    """A reader that keeps its mark sees every change once, removals included."""
    store.submit(make_request(put("facts/a.md", b"a"), put("facts/b.md", b"b")))
    first = store.changes(None)
    assert first.complete and [c.path for c in first.changes] == ["facts/a.md", "facts/b.md"]
    assert store.changes(first.mark).changes == []
    store.submit(make_request(Delete("a", "facts/a.md", blob_id(b"a"))))
    store.submit(make_request(put("facts/b.md", b"b2", base=b"b")))
    store.submit(make_request(put("facts/c.md", b"c")))
    second = store.changes(first.mark)
    assert not second.complete and second.commit == store.tip()
    assert sorted((c.path, c.version.text if c.version else None) for c in second.changes) == [
        ("facts/a.md", None),
        ("facts/b.md", b"b2"),
        ("facts/c.md", b"c"),
    ]
    assert store.changes("nonsense").complete


def test_many_files_are_read_as_of_one_commit(store: Store, make_request: Make) -> None:
    """Those that exist come back, by path."""
    store.submit(make_request(put("facts/a.md", b"a"), put("facts/b.md", b"b")))
    found = store.read_many(["facts/a.md", "facts/none.md", "facts/b.md"])
    assert {path: version.text for path, version in found.items()} == {"facts/a.md": b"a", "facts/b.md": b"b"}


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "a/../b", "../x", ".git/config", "a//b", "a/./b", "a\nb", "a\0b", "a\\b", "x" * 500]
)
def test_a_path_outside_the_ledger_is_bad_input(store: Store, make_request: Make, path: str) -> None:
    """No request reaches out of the tree, into .git, or past a line's end."""
    with pytest.raises(BadInput):
        store.submit(make_request(put(path, b"x")))
    assert store.tip() is None


@pytest.mark.parametrize("agent", ["a\nb", "", "a\x1b[31m", "a <b@c>"])
def test_an_agent_that_would_break_a_commit_is_bad_input(store: Store, make_request: Make, agent: str) -> None:
    """What goes into a commit's header is one clean line."""
    with pytest.raises(BadInput):
        store.submit(make_request(put("facts/a.md", b"x"), agent=agent))
    with pytest.raises(BadInput):
        store.submit(make_request(put("facts/a.md", b"x"), subject="two\nlines"))


def test_text_that_is_not_utf8_and_empty_requests_are_bad_input(store: Store, make_request: Make) -> None:
    """The error names the entry and the byte."""
    with pytest.raises(BadInput, match="not UTF-8 \\(byte 1\\)"):
        store.submit(make_request(put("facts/a.md", b"a\xff")))
    with pytest.raises(BadInput, match="must write something"):
        store.submit(make_request())


@pytest.mark.parametrize("version", ["0" * 40, "HEAD", "--help", "main:swarm.yaml", ""])
def test_an_unknown_version_is_not_found(store: Store, make_request: Make, version: str) -> None:
    """A version is 40 hex digits that were committed; nothing else reaches git."""
    store.submit(make_request(put("facts/a.md", b"x")))
    with pytest.raises(NotFound):
        store.blob(version)  # type: ignore[arg-type]


def test_what_is_not_as_it_was_known_is_told_with_its_version_now(store: Store, make_request: Make) -> None:
    """Changed and removed paths; not those that are still the same."""
    store.submit(make_request(put("facts/a.md", b"a"), put("facts/b.md", b"b"), put("facts/c.md", b"c")))
    known = {path: blob for path, blob in store.paths() if path.startswith("facts/")}
    store.submit(make_request(put("facts/b.md", b"new", base=b"b"), Delete("c", "facts/c.md", blob_id(b"c"))))
    assert store.differing(known) == {"facts/b.md": blob_id(b"new"), "facts/c.md": None}
    assert store.differing({}) == {}
