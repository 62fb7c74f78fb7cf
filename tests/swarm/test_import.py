"""Markdown from elsewhere comes in once, and an export restores the whole ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from swarm import Agent, NotFound, Swarm
from swarm.exchange import export, import_entries
from swarm.folders import Brought, import_folder, import_project
from swarm_ledger import logbook
from swarm_ledger.entry import Document
from swarm_ledger.store import Put, Store

from .conftest import Ran, git


def texts(store: Store, prefix: str) -> list[str]:
    return [version.text.decode() for version in store.read_many([p for p, _ in store.paths(prefix)]).values()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Notes of somebody who never heard of us."""
    notes = tmp_path / "notes"
    (notes / "deep/er").mkdir(parents=True)
    (notes / ".obsidian").mkdir()
    (notes / "plain.md").write_text("# Sessions expire\n\nAfter 15 minutes.\n")
    (notes / "deep/er/with-front.md").write_text(
        "---\ntitle: Tokens\ntags: auth, jwt\nstatus: In Progress\ncreated: 2025-03-04\nid: 17\n---\n\nThree days.\n"
    )
    (notes / "no heading.markdown").write_text("only text\n")
    (notes / ".obsidian/hidden.md").write_text("hidden\n")
    (notes / "picture.png").write_bytes(b"\x89PNG")
    return notes


TOKEN = "ghp_" + "a1B2" * 9


def test_no_import_brings_a_secret(repository: Path, run: Callable[..., Ran], tmp_path: Path) -> None:
    """Exit code 1; what holds one is named without it, and the rest comes in."""
    run("join", "ada")
    notes = tmp_path / "notes"
    (notes / "agent-logs").mkdir(parents=True)
    (notes / "overview-memory.md").write_text(f"## Sign in\n\nWith {TOKEN}\n\n## Sign out\n\nAt once.\n")
    (notes / "agent-logs/bob.md").write_text(f"## one\n\n{TOKEN}\n\n## two\n\nfine\n")
    done = run("import", "project", str(notes))
    assert (done.code, done.out.count("not imported: "), done.out.count("GitHub Token")) == (1, 2, 2)
    assert done.out.splitlines()[0] == "2 entries written, 0 there already."
    (repository / "b.py").write_text("b = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", f"use {TOKEN}")
    done = run("import", "git-history", ".")
    assert (done.code, done.out.splitlines()[0]) == (1, "1 entry written, 0 there already.")
    lines = run("export").out.replace("At once", f"At {TOKEN}")
    (tmp_path / "export.jsonl").write_text(lines)
    (tmp_path / "other").mkdir()
    assert run("init", str(tmp_path / "other")).code == 0
    with Swarm.open(str(tmp_path / "other")) as other:
        agent = other.join("ada")
        found = import_entries(agent, other.store, lines.encode().splitlines())
    assert [why.partition(";")[0] for _, why in found.refused] == [
        "it holds what looks like a secret (GitHub Token), which history would keep"
    ]
    records = "".join(path.read_text() for path in (repository / ".git/swarm/record").iterdir())
    assert sum('"verb": "import"' in one and '"Refused"' in one for one in records.splitlines()) == 3
    assert TOKEN not in records + run("git", "log", "-p").out
    assert run("check").code == 0


def bring(agent: Agent, swarm: Swarm, path: Path, dry_run: bool = False) -> Brought:
    return import_folder(swarm, agent, str(path), dry_run=dry_run)


def test_a_folder_becomes_facts_once(memory_swarm: Callable[[str], Swarm], ada: Agent, folder: Path) -> None:
    """Titles from front matter, heading or file name; a second import finds each again."""
    swarm = memory_swarm("ada")
    assert len(bring(ada, swarm, folder, dry_run=True).written) == 3
    assert list(swarm.store.paths("facts/")) == []
    assert len(bring(ada, swarm, folder).written) == 3
    found = {str(Document.parse(text.encode()).fields["title"]): text for text in texts(swarm.store, "facts/")}
    assert found.keys() == {"Sessions expire", "Tokens", "no heading"}
    assert found["Sessions expire"].endswith("source: notes/plain.md\n---\n\nAfter 15 minutes.\n")
    fields = Document.parse(found["Tokens"].encode()).fields
    assert fields["tags"] == ["auth", "jwt"] and fields["valid_from"] == "2025-03-04T00:00:00Z"
    assert fields["original"] == {"id": 17, "status": "In Progress"}
    assert bring(ada, swarm, folder) == Brought((), 3, (), {})


def test_what_changed_on_either_side_is_named_and_left(
    memory_swarm: Callable[[str], Swarm], ada: Agent, folder: Path
) -> None:
    """A file that was edited since, and an entry that was; a retracted one stays retracted; a new file comes in."""
    swarm = memory_swarm("ada")
    first = dict(bring(ada, swarm, folder).written)
    (folder / "plain.md").write_text("# Sessions expire\n\nAfter an hour.\n")
    ada.edit(first["notes/no heading.markdown"], body="edited\n")
    ada.retract(first["notes/deep/er/with-front.md"], "wrong")
    (folder / "new.md").write_text("# New\n")
    again = bring(ada, swarm, folder)
    assert [name for name, _ in again.written] == ["notes/new.md"]
    assert again.skipped == 1
    assert sorted(name for name, _ in again.differing) == ["notes/no heading.markdown", "notes/plain.md"]
    assert "edited\n" in "".join(texts(swarm.store, "facts/"))


def test_files_that_cannot_be_read_are_named(memory_swarm: Callable[[str], Swarm], ada: Agent, folder: Path) -> None:
    """The others come in."""
    (folder / "broken.md").write_text("---\na: [\n---\n")
    (folder / "nul.md").write_bytes(b"a\0b")
    (folder / "latin.md").write_bytes(b"caf\xe9")
    (folder / "long.md").write_bytes(b"x" * (2 << 20))
    os.symlink("/etc/passwd", folder / "link.md")
    (folder / "new\nline.md").write_text("text\n")
    brought = bring(ada, memory_swarm("ada"), folder)
    assert len(brought.written) == 4
    assert {name.rpartition("/")[2] for name in brought.problems} == {"broken.md", "nul.md", "latin.md", "long.md"}
    with pytest.raises(NotFound):
        bring(ada, memory_swarm("ada"), folder / "nowhere")


def test_a_project_becomes_plans_facts_and_logs(
    memory_swarm: Callable[[str], Swarm], ada: Agent, tmp_path: Path
) -> None:
    """Plans by title, a fact for each section of the memory, logs in the names of their agents, valid from then."""
    project = tmp_path / "project"
    (project / "plan").mkdir(parents=True)
    (project / "agent-logs/backend").mkdir(parents=True)
    (project / "plan/01-auth.md").write_text("# Auth rewrite\n\n- [ ] tokens\n")
    (project / "overview-memory.md").write_text(
        "# Overview\n\nWhat we know.\n\n## Database\nPostgres 16.\n\n## Cache\nRedis.\n\n## Cache\nTwice.\n"
    )
    (project / "agent-logs/backend/2026-01-05.md").write_text("# Log\n\n## 10:30 began\n\nworking\n\n## done\nall\n")
    (project / "agent-logs/frontend-2026-02-01.md").write_text("no sections\n")
    swarm = memory_swarm("ada")
    brought = import_project(swarm, ada, str(project))
    assert len(brought.written) == 8 and brought.problems == {}
    assert [path for path, _ in swarm.store.paths("plan/")] == ["plan/auth-rewrite.md"]
    titles = {str(Document.parse(text.encode()).fields["title"]) for text in texts(swarm.store, "facts/")}
    assert titles == {"Overview", "Database", "Cache"}
    logs = {entry.by: [] for text in texts(swarm.store, "log/") for entry in logbook.parse(text.encode())}  # type: ignore[var-annotated]
    for text in texts(swarm.store, "log/"):
        for entry in logbook.parse(text.encode()):
            logs[entry.by].append((entry.text, entry.meta["valid_from"]))
    assert logs == {
        "backend": [
            ("## 10:30 began\n\nworking", "2026-01-05T10:30:00Z"),
            ("## done\nall", "2026-01-05T00:00:00Z"),
        ],
        "frontend": [("no sections", "2026-02-01T00:00:00Z")],
    }
    assert import_project(swarm, ada, str(project)) == Brought((), 8, (), {})


def test_an_export_restores_the_same_tree(repository: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """Every kind of entry, texts by hand, CRLF, rotated logs, changed settings: backup and restore."""
    with Swarm.open(str(repository)) as swarm:
        ada, bob = swarm.join("ada"), swarm.agent("bob")
        assert bob is not None
        fact = ada.remember("A fact", "body\n", entities=["file:src/auth.py"], cite=["auth.py:1-2"], confidence=0.5)
        ada.supersede(fact.id, "A newer fact", "body")
        gone = ada.remember("Gone", "wrong\n")
        ada.retract(gone.id, "it was wrong")
        ada.remember("Postgres", kind="plan")
        ada.remember("Do it", kind="task", plan="plan-postgres")
        ada.remember("Thought", "why\n", kind="reflection")
        for number in range(70):
            ada.log(f"entry {number}\n## 10:54:03 log-261121-7k3q9m2x\n", tags=["error"])
            bob.log(f"Bob's ünïcode {number}")
        by_hand = "---\r\nid: fact-261121-7k3q9m2x\r\nkind: fact # mine\r\ntitle: 'by hand'\r\nby: ada\r\n"
        by_hand += "at: 2026-11-21T10:54:03Z\r\nx: {a: 1}\r\n---\r\nCRLF\r\n"
        path = "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"
        ada.commit("by hand", [Put("fact-261121-7k3q9m2x", path, by_hand.encode(), None)])
        odd = logbook.header("odd", date(2026, 11, 21)) + b"## 10:54:03 log-261121-7k3q9m2y\n{ ref: x }\n\nhi\n\n"
        odd_path = "log/2026/11/21/odd/0003.md"
        ada.commit("a log that another tool wrote", [Put(odd_path, odd_path, odd, None)])
        settings = swarm.store.read("swarm.yaml")
        assert settings is not None
        ada.commit("settings", [Put("swarm.yaml", "swarm.yaml", settings.text + b"room: main\n", settings.blob)])
        lines = [json.dumps(entry).encode() for entry in export(swarm.store)]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "--quiet")
    with Swarm.init(str(elsewhere)) as other:
        keeper = other.agent("keeper")
        assert keeper is not None
        first = import_entries(keeper, other.store, lines)
        assert first.skipped == 0 and first.differing == ()
        again = import_entries(keeper, other.store, lines)
        assert again.written == 0 and again.differing == ()
    trees = [
        git(where, "--git-dir=.git/swarm/ledger.git", "rev-parse", "swarm-ledger^{tree}")
        for where in (repository, elsewhere)
    ]
    assert trees[0] == trees[1]
    assert not [line for line in run("check").out.splitlines() if "error" in line and "0 errors" not in line]


def test_the_command_says_what_it_would_do_and_did(repository: Path, folder: Path, run: Callable[..., Ran]) -> None:
    """A dry run first; exit code 1 where something was left."""
    assert "would become fact-" in run("import", "folder", str(folder), "--dry-run", "--as", "ada").out
    assert "3 entries written, 0 there already" in run("import", "folder", str(folder), "--as", "ada").out
    (folder / "broken.md").write_text("---\na: [\n---\n")
    again = run("import", "folder", str(folder), "--as", "ada")
    assert again.code == 1 and "not imported: " in again.out and "3 there already" in again.out
    assert run("import", "project", str(folder), "--as", "ada").code == 2
    assert run("check").code == 0
