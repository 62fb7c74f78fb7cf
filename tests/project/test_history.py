"""The bench on a history: what is evidence, what is known when a question is asked, and how a share is counted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.history import ask_all, evidence, share
from swarm.githistory import Commit, read_commits


def commit(id: str, *files: str) -> Commit:
    return Commit(id, "Ada", "2026-11-21T10:00:00Z", f"Change {id}", files, ())


def test_evidence_is_what_touched_one_of_the_files_before() -> None:
    """Not what touched others, and not what came later."""
    commits = [commit("1", "a", "b"), commit("2", "c"), commit("3", "b", "c"), commit("4", "a"), commit("5", "b")]
    assert evidence(commits[:3], commits[3]) == {"1"}
    assert evidence(commits[:4], commits[4]) == {"1", "3"}
    assert evidence(commits[:1], commits[1]) == set()


def test_a_share_is_of_as_many_as_there_is_room_for() -> None:
    """Half of two; one of ten where twelve are wanted; what comes eleventh does not count."""
    assert share(["x", "1"], {"1", "2"}) == 0.5
    assert share(["1"], {str(number) for number in range(12)}) == 0.1
    assert share([*"abcdefghij", "1"], {"1"}) == 0.0
    assert share([], {"1"}) == 0.0


def test_each_commit_is_asked_of_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first words of the third are only in itself and in later commits: it finds nothing, though those are near.

    The fourth finds the first by its word, and only by the file that both touch, in our store, the third.
    """
    repository = tmp_path / "repository"
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "Ada")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "ada@example.org")
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    for subject, files in (
        ("Retry uploads", ["client.py"]),
        ("Warm sessions", ["store.py"]),
        ("Zebra crossing", ["client.py"]),
        ("Retry zealously", ["client.py"]),
        ("Zebra crossing once more", ["store.py"]),
    ):
        for file in files:
            with (repository / file).open("a") as out:
                out.write(subject)
        subprocess.run(["git", "-C", str(repository), "add", "."], check=True)
        subprocess.run(["git", "-C", str(repository), "commit", "-q", "-m", subject], check=True)
    commits = read_commits(str(repository))
    asked = ask_all(str(tmp_path), commits)
    assert [one.commit for one in asked] == [commits[2].id, commits[3].id, commits[4].id]
    assert [(one.ours, one.peer) for one in asked] == [(0.0, 0.0), (1.0, 0.5), (0.0, 0.0)]
