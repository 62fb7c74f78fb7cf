"""`swarm sync` as a user runs it, in two clones of one repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from swarm import Swarm
from swarm.check import check

from .conftest import Ran, git


@pytest.fixture
def clones(repository: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A repository with a remote, and a clone of that with a ledger of its own."""
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(repository, "push", "--quiet", "origin", "main")
    git(tmp_path, "clone", "--quiet", "--branch=main", "remote.git", "other")
    Swarm.init(str(tmp_path / "other")).close()
    return repository, tmp_path / "other"


def test_entries_go_from_clone_to_clone(clones: tuple[Path, Path], run: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one remembers the other recalls, with its history; both ledgers are in order."""
    here, there = clones
    run("remember", "Sessions expire after 15 minutes", "--entity", "login", "--as", "ada")
    done = json.loads(run("sync", "--json", "--as", "ada").out)
    assert (done["ok"], done["received"], done["sent"], done["merge"], done["contested"]) == (True, 0, 2, None, [])
    monkeypatch.chdir(there)
    run("log", "hello from there", "--as", "bob")
    said = run("sync").out
    assert "2 commits received, 3 sent, merged in " in said
    (hit,) = [json.loads(line) for line in run("recall", "sessions expire", "--json").out.splitlines()]
    assert hit["title"] == "Sessions expire after 15 minutes"
    assert "ada" in run("history", hit["id"]).out
    monkeypatch.chdir(here)
    assert "3 commits received, 0 sent; both are at" in run("sync", "origin").out
    for place in clones:
        with Swarm.open(str(place)) as swarm:
            assert check(swarm.store).findings == ()


def test_what_could_not_be_merged_is_listed_and_shown(
    clones: tuple[Path, Path], run: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two titles of one fact: one stands, the other is an entry that can be read and retracted."""
    here, there = clones
    id = json.loads(run("remember", "A", "--as", "ada", "--json").out)["id"]
    run("sync")
    monkeypatch.chdir(there)
    run("sync")
    run("show", id, "--as", "bob")
    run("edit", id, "--body", "B said", "--as", "bob")
    monkeypatch.chdir(here)
    run("sync")
    run("show", id, "--as", "ada")
    run("edit", id, "--body", "A said", "--as", "ada")
    run("sync")
    monkeypatch.chdir(there)
    (contested,) = json.loads(run("sync", "--json").out)["contested"]
    shown = run("show", contested, "--as", "bob").out
    assert ("A said" in shown) != ("B said" in shown)
    assert run("retract", contested, "--why", "the other is right", "--as", "bob").code == 0
    run("sync")
    monkeypatch.chdir(here)
    run("sync")
    with Swarm.open(str(here)) as swarm:
        assert list(swarm.store.paths("contested/")) == []


def test_without_a_remote_it_says_what_to_do(repository: Path, run: Ran) -> None:
    """Exit code 2, one line."""
    ran = run("sync")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "swarm: there is no remote `origin`; add one with `git remote add origin URL`, " + (
        "or give a URL: `swarm sync URL`.\n"
    )


def test_offline_is_exit_code_3(repository: Path, run: Ran) -> None:
    """Nothing else minds."""
    git(repository, "remote", "add", "origin", str(repository / "gone.git"))
    assert run("sync").code == 3
    assert run("log", "on we go", "--as", "ada").code == 0


def test_a_remote_never_runs_a_command(repository: Path, run: Ran) -> None:
    """Whatever an agent passes as REMOTE."""
    for given in ("ext::sh -c touch% pwned", "--upload-pack=touch pwned"):
        assert run("sync", "--", given).code == 2
    assert "pwned" not in os.listdir(repository)
