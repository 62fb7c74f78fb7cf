"""What hands do in the view comes into the ledger, in their name, and nothing of it is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm import Agent, Swarm
from swarm.handwork import Taken
from swarm.ingest import Ingest, Result
from swarm_ledger import views
from swarm_ledger.entry import Document
from swarm_ledger.errors import StorageError
from swarm_ledger.store import Commit
from swarm_ledger.view import View

from .conftest import Ran


class Desk:
    """A worktree with its view, an agent elsewhere, and a hand."""

    def __init__(self, swarm: Swarm, agent: Agent, view: View) -> None:
        self.swarm, self.agent, self.view = swarm, agent, view
        self.ingest = Ingest(swarm, view, grace=0.0)
        self.root = Path(view.root)
        self.show()

    def show(self) -> None:
        self.view.show(self.swarm.store)

    def take(self, deletions: bool = False) -> Result:
        return self.ingest.run(deletions=deletions)

    def done(self) -> list[tuple[str, str]]:
        """(what, name) of what is taken in; nothing may be amiss."""
        result = self.take()
        assert dict(result.problems) == {} and result.waiting == ()
        return [(one.what, one.name) for one in result.taken]

    def fact(self, title: str = "A fact", body: str = "first\n\nsecond\n") -> str:
        """A fact in the ledger and the view; its path."""
        path = self.agent.remember(title, body).path
        self.show()
        return path

    def change(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def text(self, path: str) -> str:
        version = self.swarm.store.read(path)
        assert version is not None, path
        return version.text.decode()

    def texts(self, prefix: str) -> list[str]:
        return [self.text(path) for path, _ in self.swarm.store.paths(prefix)]

    def is_current(self) -> bool:
        """Whether the view holds exactly what the ledger does."""
        self.show()
        shown = {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        return shown == {path: self.text(path).encode() for path, _ in self.swarm.store.paths()}


@pytest.fixture
def desk(memory_swarm: Callable[[str], Swarm]) -> Desk:
    """Nobody joined at the desk, so what is done there is done by "human"."""
    swarm = memory_swarm("desk")
    return Desk(swarm, memory_swarm("ada").join("ada"), views.turn_on(swarm.place, swarm.env))


def test_an_edit_becomes_a_commit_of_the_hand(desk: Desk) -> None:
    """Only what was changed changes, and `rev`; the file is left as it was saved."""
    path = desk.fact()
    before = desk.text(path)
    desk.change(path, "second", "second, by hand")
    saved = (desk.root / path).read_text()
    assert desk.done() == [("edited", path)]
    assert desk.text(path) == before.replace("second", "second, by hand").replace("rev: 1", "rev: 2")
    assert next(iter(desk.swarm.store.history(path))).author == "human"
    desk.show()
    assert (desk.root / path).read_text() == saved
    assert desk.done() == []


def test_an_edit_is_of_the_agent_who_joined_there(desk: Desk) -> None:
    """A worktree's hand is its agent."""
    path = desk.fact()
    desk.swarm.join("grace")
    desk.change(path, "first", "1st")
    desk.take()
    assert next(iter(desk.swarm.store.history(path))).author == "grace"


def test_a_save_of_the_same_editor_goes_on_from_its_last(desk: Desk) -> None:
    """An editor that never reloads saves three times: its last text stands, and nothing is contested."""
    path = desk.fact()
    for number in range(3):
        desk.change(path, "first" if number == 0 else f"save {number - 1}", f"save {number}")
        assert desk.done() == [("edited", path)]
    assert "save 2\n\nsecond" in desk.text(path)
    assert "rev: 4" in desk.text(path)


def test_an_edit_of_an_old_version_is_merged(desk: Desk) -> None:
    """An agent and a hand change different lines: both are there, and the view shows both."""
    path = desk.fact()
    desk.change(path, "second", "second, by hand")
    desk.agent.edit(Path(path).stem, body="first, by ada\n\nsecond\n")
    desk.show()
    assert desk.done() == [("merged", path)]
    assert Document.parse(desk.text(path).encode()).body == "first, by ada\n\nsecond, by hand\n"
    assert desk.is_current()


def test_a_late_save_is_based_on_what_its_editor_had_read(desk: Desk) -> None:
    """The agent's version shows already when an editor saves a text that was made from the one before."""
    path = desk.fact()
    opened = (desk.root / path).read_text()
    desk.agent.edit(Path(path).stem, body="first, by ada\n\nsecond\n")
    desk.show()
    assert "by ada" in (desk.root / path).read_text()
    (desk.root / path).write_text(opened.replace("second", "second, by hand"))
    assert desk.done() == [("merged", path)]
    assert Document.parse(desk.text(path).encode()).body == "first, by ada\n\nsecond, by hand\n"


def test_saves_on_top_of_a_merge_that_was_not_seen_are_merged_too(desk: Desk) -> None:
    """An editor goes on from its own text, which the ledger has only as part of a merge."""
    path = desk.fact()
    opened = (desk.root / path).read_text()
    desk.agent.edit(Path(path).stem, body="first, by ada\n\nsecond\n")
    for number in range(3):
        (desk.root / path).write_text(opened.replace("second", f"second, save {number}"))
        assert desk.done() == [("merged", path)]
    assert Document.parse(desk.text(path).encode()).body == "first, by ada\n\nsecond, save 2\n"
    assert desk.texts("contested/") == []


def test_what_cannot_be_merged_is_contested_with_the_hand_s_whole_text(desk: Desk) -> None:
    """Both change one line: the agent's stands, the hand's is in a contested entry."""
    path = desk.fact()
    desk.change(path, "second", "the hand's second")
    desk.agent.edit(Path(path).stem, body="first\n\nada's second\n")
    assert desk.done() == [("contested", path)]
    assert "ada's second" in desk.text(path)
    [contested] = desk.texts("contested/")
    assert "the hand's second" in contested and f"of: {Path(path).stem}" in contested
    assert desk.is_current()


def test_a_file_that_does_not_parse_stays_until_it_does(desk: Desk) -> None:
    """It is named with the line; put right, it is taken in."""
    path = desk.fact()
    desk.change(path, "rev: 1", "rev: [1")
    result = desk.take()
    assert result.taken == ()
    assert "front matter, line" in result.problems[path]
    assert desk.view.manifest.problems().keys() == {path}
    assert "rev: [1" in (desk.root / path).read_text()
    desk.change(path, "rev: [1", "rev: 1")
    desk.change(path, "first", "mended")
    assert desk.done() == [("edited", path)]
    assert desk.view.manifest.problems() == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"---\nid: [\n---\n", "front matter, line"),
        (b"---\nkind: fact\n", "not closed"),
        (b"text with a \0 in it\n", "NUL"),
        (b"\xff\xfe not text\n", "not UTF-8"),
        (b"x" * (50 << 20), "over 4 MiB"),
        (b"long\n" * (300 << 10), "over 1 MiB"),
        (b"---\nid: fact-261121-7k3q9m2x\nkind: plan\ntitle: t\n---\n", "it is missing"),
        (b"", ""),
    ],
)
def test_bad_files_are_named_and_stay(desk: Desk, data: bytes, why: str) -> None:
    """Whatever somebody drops: it is left as it is, and nothing else suffers."""
    path = desk.fact()
    (desk.root / "bad.md").write_bytes(data)
    desk.change(path, "first", "1st")
    result = desk.take()
    assert ("edited", path) in [(one.what, one.name) for one in result.taken]
    if why:
        assert why in result.problems["bad.md"]
        assert (desk.root / "bad.md").read_bytes() == data
    else:
        assert result.problems == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(desk: Desk) -> None:
    """Its rights are its owner's business."""
    (desk.root / "secret.md").write_text("# Secret\n")
    (desk.root / "secret.md").chmod(0)
    assert "permission denied" in desk.take().problems["secret.md"]


def test_a_secret_does_not_come_in_by_hand(desk: Desk) -> None:
    """The file stays and is named until it is taken out; what the entry held already hinders nobody."""
    token = "ghp_" + "a1B2" * 9
    path = desk.fact()
    (desk.root / "note.md").write_text(f"# How to sign in\n\nUse {token}.\n")
    desk.change(path, "first", f"first {token}")
    tip = desk.swarm.store.tip()
    for _ in range(2):
        problems = desk.take().problems
        assert sorted(problems) == sorted([path, "note.md"])
        assert all("looks like a secret (GitHub Token)" in why for why in problems.values())
    assert desk.swarm.store.tip() == tip
    assert token in (desk.root / path).read_text()
    (record,) = Path(desk.swarm.place.home, "record").iterdir()
    assert sum('"verb": "ingest"' in line for line in record.read_text().splitlines()) == 2
    assert token not in record.read_text()
    desk.change(path, token, "of all")
    (desk.root / "note.md").unlink()
    assert desk.done() == [("edited", path)]
    kept = desk.agent.remember("Kept", f"It is {token}", force="expired long ago").path
    desk.show()
    desk.change(kept, "It is", "It was")
    assert desk.done() == [("edited", kept)]


def test_a_new_file_gets_an_id_and_its_place(desk: Desk) -> None:
    """A heading becomes the title; the place where it was dropped says what it is."""
    (desk.root / "plan").mkdir(exist_ok=True)
    (desk.root / "entities/service").mkdir(parents=True)
    (desk.root / "my note.md").write_text("# Sessions expire\n\nAfter 15 minutes.\n")
    (desk.root / "plan/whatever.md").write_text("# Move to Postgres\n\nStep by step.\n")
    (desk.root / "entities/service/auth.md").write_text("the auth service\n")
    assert sorted(desk.done()) == [
        ("added", "entities/service/auth.md"),
        ("added", "my note.md"),
        ("added", "plan/whatever.md"),
    ]
    [fact] = desk.texts("facts/")
    assert "title: Sessions expire\nby: human\n" in fact and fact.endswith("---\n\nAfter 15 minutes.\n")
    assert "id: plan-move-to-postgres" in desk.text("plan/move-to-postgres.md")
    assert "the auth service" in desk.text("entities/service/auth.md")
    assert not (desk.root / "my note.md").exists() and not (desk.root / "plan/whatever.md").exists()
    assert desk.is_current()


def test_front_matter_of_a_new_file_is_kept(desk: Desk) -> None:
    """Fields and comments stay byte for byte; what our format understands otherwise goes under `original`."""
    (desk.root / "note.md").write_text(
        '---\n# mine\ntitle: "A: b"\nstatus: In Progress\ntags: one, two\ndate: 2026-01-02\nx: 1\n---\nbody\n'
    )
    assert desk.done() == [("added", "note.md")]
    fields = Document.parse(desk.texts("facts/")[0].encode()).fields
    assert fields["title"] == "A: b" and fields["x"] == 1 and fields["tags"] == ["one", "two"]
    assert fields["valid_from"] == "2026-01-02T00:00:00Z"
    assert fields["original"] == {"status": "In Progress"}
    assert "# mine\n" in desk.texts("facts/")[0]


def test_a_new_file_saved_again_under_its_first_name_is_the_same_entry(desk: Desk) -> None:
    """An editor goes on saving `note.md` after that was moved to its place."""
    (desk.root / "note.md").write_text("# A note\n\nfirst\n")
    desk.done()
    (desk.root / "note.md").write_text("# A note\n\nfirst\nand more\n")
    assert [what for what, _ in desk.done()] == ["edited"]
    [fact] = desk.texts("facts/")
    assert "and more" in fact and "rev: 2" in fact
    assert desk.is_current()


@pytest.mark.parametrize("name", ["with\nnewline.md", "with @ and !.md", "ünïcode.md", "-rf.md", "a" * 240 + ".md"])
def test_names_of_all_kinds_are_taken_in(desk: Desk, name: str) -> None:
    """A name is data: it becomes a title at most."""
    (desk.root / name).write_text("just text\n")
    assert [what for what, _ in desk.done()] == ["added"]
    assert "just text" in desk.texts("facts/")[0]
    assert not (desk.root / name).exists()


def test_a_deletion_becomes_a_retraction_that_can_be_undone(desk: Desk) -> None:
    """The tombstone says so; `restore` brings the text back as it was."""
    desk.fact("Another")
    path = desk.fact()
    before = desk.text(path)
    (desk.root / path).unlink()
    assert desk.done() == [("retracted", path)]
    assert desk.swarm.store.read(path) is None
    assert "why: deleted by hand" in desk.texts("tombstones/")[0]
    desk.agent.restore(Path(path).stem)
    assert desk.text(path) == before and desk.texts("tombstones/") == []
    assert desk.is_current()


def test_a_deleted_file_that_is_put_back_is_restored(desk: Desk) -> None:
    """The undo of a file manager undoes the retraction."""
    desk.fact("Another")
    path = desk.fact()
    text = (desk.root / path).read_text()
    (desk.root / path).unlink()
    desk.take()
    (desk.root / path).parent.mkdir(parents=True, exist_ok=True)
    (desk.root / path).write_text(text)
    assert desk.done() == [("restored", path)]
    assert desk.text(path) == text and desk.texts("tombstones/") == []


def test_a_deletion_of_an_old_version_is_not_taken(desk: Desk) -> None:
    """What an agent changed meanwhile comes back, so that its change is read first."""
    desk.fact("Another")
    path = desk.fact()
    (desk.root / path).unlink()
    desk.agent.edit(Path(path).stem, body="changed\n")
    assert desk.done() == [("kept", path)]
    assert desk.is_current()


def test_many_files_gone_at_once_are_asked_about(desk: Desk) -> None:
    """Nothing is retracted; a refresh brings them back, --deletions retracts them."""
    paths = [desk.fact(f"Fact {number}") for number in range(15)]
    for path in paths[:12]:
        (desk.root / path).unlink()
    result = desk.take()
    assert result.taken == ()
    assert "12 files are gone at once" in " ".join(result.problems.values())
    with desk.view.alone():
        desk.view.restore(desk.swarm.store)
    assert desk.is_current() and desk.done() == []
    for path in paths[:12]:
        (desk.root / path).unlink()
    assert len(desk.take(deletions=True).taken) == 12


def test_a_directory_that_is_gone_is_asked_about(desk: Desk) -> None:
    """However few files it held."""
    path = desk.fact()
    for number in range(5):
        desk.fact(f"Another {number}")
    shutil.rmtree((desk.root / path).parent)
    result = desk.take()
    assert result.taken == () and "gone at once" in " ".join(result.problems.values())
    assert desk.swarm.store.read(path) is not None


def test_the_whole_view_may_be_deleted(desk: Desk) -> None:
    """It comes back, and nothing was retracted."""
    desk.fact()
    shutil.rmtree(desk.root.parent)
    assert desk.done() == []
    assert desk.is_current()


def test_a_renamed_file_moves_back(desk: Desk) -> None:
    """A place follows from the id; what was edited in it is taken in."""
    path, other = desk.fact(), desk.fact("Other")
    os.rename(desk.root / path, desk.root / "my name.md")
    os.rename(desk.root / other, desk.root / "MY OTHER.md")
    desk.change("MY OTHER.md", "first", "renamed and edited")
    assert sorted(desk.done()) == [("edited", other), ("moved back", "my name.md")]
    assert "renamed and edited" in desk.text(other)
    assert desk.is_current()


def test_a_copy_is_named_and_not_taken_for_an_edit(desk: Desk) -> None:
    """Two files with one id: which is meant only its author can say."""
    path = desk.fact()
    shutil.copy(desk.root / path, desk.root / "copy.md")
    assert f"a copy of {path}" in desk.take().problems["copy.md"]
    desk.change("copy.md", f"id: {Path(path).stem}\n", "")
    assert desk.done() == [("added", "copy.md")]
    assert len(desk.texts("facts/")) == 2


def test_a_log_edited_by_hand_keeps_its_entries(desk: Desk) -> None:
    """What was added or changed becomes an entry of the hand; the log comes back as it was."""
    path = desk.agent.log("the test is flaky").path
    desk.agent.log("and slow")
    desk.show()
    before = desk.text(path)
    desk.change(path, "the test is flaky", "the test is not flaky")
    (desk.root / path).write_text((desk.root / path).read_text() + "by the way: a note by hand\n")
    assert desk.done() == [("logged", path)]
    assert desk.text(path) == before
    mine = desk.texts("log/2026/11/21/human/")[0]
    assert "the test is not flaky" in mine and "by the way: a note by hand" in mine
    assert desk.is_current()


def test_the_settings_can_be_edited_but_not_their_format(desk: Desk) -> None:
    """A file of the view like any other."""
    from swarm_ledger.store import Put

    desk.agent.commit("settings", [Put("swarm.yaml", "swarm.yaml", b"format: 1\n", None)])
    desk.show()
    (desk.root / "swarm.yaml").write_text("format: 1\nroom: main\n")
    assert desk.done() == [("edited", "swarm.yaml")]
    (desk.root / "swarm.yaml").write_text("format: 2\n")
    assert "format" in desk.take().problems["swarm.yaml"]
    assert desk.text("swarm.yaml") == "format: 1\nroom: main\n"


def test_an_edit_of_a_retracted_entry_stays_and_says_what_to_do(desk: Desk) -> None:
    """After `swarm restore` it is taken in."""
    path = desk.fact()
    desk.change(path, "second", "by hand")
    desk.agent.retract(Path(path).stem, "wrong")
    assert "swarm restore" in desk.take().problems[path]
    assert "by hand" in (desk.root / path).read_text()
    desk.agent.restore(Path(path).stem)
    assert [what for what, _ in desk.done()] == ["edited"]
    assert "by hand" in desk.text(path)


def test_what_was_saved_into_a_file_put_aside_is_taken_in(desk: Desk) -> None:
    """An editor had the old file open for writing while the new version went in."""
    path = desk.fact(body="first\n\n" + "filler\n" * 5 + "\nsecond\n")
    old = (desk.root / path).read_text()
    with open(desk.root / path, "r+", encoding="utf-8") as editor:
        desk.agent.edit(Path(path).stem, body=Document.parse(old.encode()).body.replace("first", "first, by ada"))
        desk.show()
        assert "by ada" in (desk.root / path).read_text()
        editor.write(old.replace("second", "2nd by hand"))
        editor.truncate()
    assert desk.done() == [("merged", path)]
    assert "first, by ada" in desk.text(path) and "2nd by hand" in desk.text(path)
    assert desk.is_current()
    assert list((desk.root.parent / "aside").iterdir()) == []


def test_two_views_see_each_other_s_hands(desk: Desk, memory_swarm: Callable[[str], Swarm]) -> None:
    """Worktrees of one ledger."""
    there = memory_swarm("there")
    second = Desk(there, desk.agent, views.turn_on(there.place, there.env))
    path = desk.fact()
    second.show()
    desk.change(path, "first", "first by one")
    second.change(path, "second", "second by two")
    desk.take()
    assert second.done() == [("merged", path)]
    desk.show()
    assert (desk.root / path).read_text() == (second.root / path).read_text()
    assert "first by one\n\nsecond by two" in desk.text(path)


# The command


def test_init_shows_the_files_in_the_main_worktree(repository: Path, run: Callable[..., Ran]) -> None:
    """With `swarm init`, which this repository had without; `view` says where."""
    shutil.rmtree(repository / ".git/swarm")
    assert run("init").code == 0
    assert (repository / ".swarm/ledger/swarm.yaml").exists()
    assert ".swarm/" in (repository / ".git/info/exclude").read_text()
    assert "1 of them" in run("view").out
    written = run("remember", "A fact", "--as", "ada", "--force", "--why", "seen")
    [file] = (repository / ".swarm/ledger/facts").rglob("*.md")
    assert file.stem == written.id
    file.write_text(file.read_text() + "by hand\n")
    assert "1 edited" in run("view").out
    assert f"edited: {written.id}" in run("ingest", "--as", "ada").out
    assert "by hand" in run("show", written.id).out
    file.write_text("broken")
    again = run("ingest")
    assert again.code == 1 and "no front matter" in again.out
    assert "no front matter" in run("status").out
    assert run("view", "refresh").code == 0 and file.read_text() == "broken"
    assert "left as it is" in run("view", "off").out
    assert run("ingest").code == 2


def test_what_was_gone_and_is_back_is_no_problem_any_more(desk: Desk) -> None:
    """A directory deleted by hand is named, until its files are shown again; what is broken stays named."""
    for number in range(3):
        desk.fact(f"Fact {number}")
    (desk.root / "odd-\udcff.md").write_bytes(b"caf\xe9\n")
    shutil.rmtree(desk.root / "facts")
    assert len(desk.take().problems) == 2
    with desk.view.alone():
        desk.view.restore(desk.swarm.store)
        status = desk.view.status()
    assert (status.missing, status.new) == (0, 0)
    assert (
        status.problems
        == desk.view.manifest.problems()
        == {"odd-\\udcff.md": "line 1: not UTF-8; save the file as UTF-8"}
    )


def test_a_view_that_is_gone_as_a_whole_has_nothing_deleted(desk: Desk) -> None:
    """Its status does not call for an ingest."""
    desk.fact()
    shutil.rmtree(desk.root)
    with desk.view.alone():
        assert desk.view.status() == (0, 0, 0, 0, {})


def test_a_manifest_with_damaged_pages_costs_one_attempt(desk: Desk) -> None:
    """It is made anew by the next, which takes in what a hand did."""
    paths = [desk.fact(f"Fact {number}") for number in range(40)]
    desk.view.close()
    manifest = Path(desk.view.registration) / "manifest.db"
    with open(manifest, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (manifest.stat().st_size - 4096))
    desk.change(paths[7], "second", "by hand")
    with pytest.raises(StorageError, match="malformed"):
        desk.take()
    assert desk.done() == [("edited", paths[7])]
    assert "by hand" in desk.text(paths[7])
    assert desk.done() == []


@pytest.mark.parametrize("where", ["ledger", "aside"])
def test_what_stands_in_the_way_of_the_view_is_named(repository: Path, run: Callable[..., Ran], where: str) -> None:
    """In a line, and not as a fault of the program."""
    run("view", "on")
    shutil.rmtree(repository / ".swarm" / where)
    (repository / ".swarm" / where).write_text("in the way")
    for command in (["view"], ["view", "refresh"], ["ingest"]):
        done = run(*command)
        assert (done.code, "/.swarm: " + where in done.err, "move it away" in done.err) == (3, True, True)


@pytest.mark.parametrize(("text", "line"), [(b"caf\xe9\n", 1), (b"one\n\xff\n", 2)])
@pytest.mark.parametrize("name", ["log/note.md", "note.md"])
def test_a_text_that_is_not_utf_8_is_named_with_its_line(desk: Desk, name: str, text: bytes, line: int) -> None:
    """Among new texts for the log too; the others are taken in."""
    (desk.root / "log").mkdir()
    (desk.root / name).write_bytes(text)
    (desk.root / "sound.md").write_text("sound")
    result = desk.take()
    assert dict(result.problems) == {name: f"line {line}: not UTF-8; save the file as UTF-8"}
    assert [one.name for one in result.taken] == ["sound.md"]


def test_restore_undoes_a_retraction(repository: Path, run: Callable[..., Ran]) -> None:
    """By command; once."""
    id = run("remember", "A fact", "--as", "ada").id
    run("retract", id, "--why", "wrong", "--as", "ada")
    assert run("restore", id, "--as", "ada").code == 0
    assert run("show", id).code == 0
    assert run("restore", id, "--as", "ada").code == 4
    assert run("restore", "fact-261121-7k3q9m2x", "--as", "ada").code == 2


def test_lines_for_people_name_what_was_done() -> None:
    """One line each, whatever the name holds is left to the output to escape."""
    assert Taken("edited", "facts/x.md", "fact-1").line == "edited: fact-1 (facts/x.md)"
    assert Taken("kept", "log/x.md", "log/x.md").line == "kept: log/x.md: it is as the ledger has it"


def test_what_a_hand_saw_is_found_though_others_write_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was open through many edits is merged with the version it was opened at: nothing is contested."""
    path = desk.fact(body="agent: 0\n\nlines\n\nbetween\n\nhand: 0\n")
    id, opened = Path(path).stem, (desk.root / path).read_text()

    def edit(number: int) -> None:
        desk.agent.show(id)
        desk.agent.edit(id, f"agent: {number}\n\nlines\n\nbetween\n\nhand: 0\n")

    edit(1)
    desk.show()
    (desk.root / path).write_text(opened.replace("hand: 0", "hand: 1"))
    store, real = desk.swarm.store, desk.swarm.store.history

    def history(*given: Any, **more: Any) -> Iterator[Commit]:
        monkeypatch.setattr(store, "history", real)
        for number in range(2, 6):
            edit(number)
        return real(*given, **more)

    monkeypatch.setattr(store, "history", history)
    assert desk.done() == [("merged", path)]
    assert "agent: 5\n" in desk.text(path) and "hand: 1\n" in desk.text(path)
    assert desk.texts("contested/") == []
