"""Citations: what is recorded of a span of code, and what can not be cited."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from swarm import Agent, BadInput, NotFound
from swarm.evidence import citation, cite_code, head, span_digest
from swarm_ledger.memory import MemoryStore

from .conftest import git


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_span_is_its_lines_with_one_lf_each() -> None:
    """CRLF counts as LF, and a last line without an end as one with it."""
    assert span_digest(b"a\r\nb\r\nc", 2, 3) == digest("b\nc\n")
    assert span_digest(b"a\nb\nc\n", 2, 3) == digest("b\nc\n")
    assert span_digest(b"a\x0bb\x0cc\n", 1, 1) == digest("a\x0bb\x0cc\n")


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 1), (1, 4), (4, 4)])
def test_lines_that_are_not_there_have_no_digest(first: int, last: int) -> None:
    """Lines are counted from 1, both ends included."""
    assert span_digest(b"a\nb\nc\n", first, last) is None


def test_the_commit_is_named_where_it_holds_the_same_text(repository: Path) -> None:
    """Lines that changed since the commit are cited without one; the others with it."""
    (repository / "auth.py").write_text("def login():\n    return None\n\n\ndef logout():\n    return False\n")
    commit = git(repository, "rev-parse", "HEAD").strip()
    assert head(str(repository)) == commit
    assert cite_code("auth.py:5-6", str(repository), str(repository)) == {
        "path": "auth.py",
        "lines": [5, 6],
        "commit": commit,
        "sha256": digest("def logout():\n    return False\n"),
        "marks": "xdZoBjuOL-E.46e0z8nPVEw...",
        "copies": 1,
    }
    assert "commit" not in cite_code("auth.py:2", str(repository), str(repository))


def test_a_file_that_is_in_no_commit_is_cited_without_one(repository: Path) -> None:
    """Nor is there one on a branch without commits."""
    (repository / "new:file.py").write_text("x\n")
    assert cite_code("new:file.py:1", str(repository), str(repository)) == {
        "path": "new:file.py",
        "lines": [1, 1],
        "sha256": digest("x\n"),
        "marks": ".jNwWgw...",
        "copies": 1,
    }
    git(repository, "checkout", "--quiet", "--orphan", "empty")
    assert head(str(repository)) is None
    assert "commit" not in cite_code("auth.py:1", str(repository), str(repository))


def test_a_path_is_recorded_from_the_root_of_the_worktree(repository: Path) -> None:
    """However it was written."""
    (repository / "sub").mkdir()
    inside = str(repository / "sub")
    for spec in ("../auth.py:1-2", f"{repository}/auth.py:1-2", "./../sub/../auth.py:1-2"):
        assert cite_code(spec, str(repository), inside)["path"] == "auth.py"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("auth.py", "is not a citation; write PATH:FIRST-LAST"),
        ("auth.py:1-99", "has 6 lines; 1-99 is not a span"),
        ("auth.py:2-1", "is not a span"),
        ("nothing.py:1", "can not be read: No such file"),
        ("../outside.py:1", "is not in the worktree"),
        ("/etc/passwd:1", "is not in the worktree"),
        ("escape.py:1", "is not in the worktree"),
        (".git/config:1", "is not in the worktree"),
        (".:1", "is not a file"),
        ("pipe:1", "is not a file"),
        ("--help:1", "can not be read"),
        ("a\nb:1", "control characters"),
        ("a\x00b:1", "control characters"),
    ],
)
def test_what_can_not_be_cited(repository: Path, spec: str, message: str) -> None:
    """Nothing outside the worktree is read, and no name is taken for an option."""
    (repository.parent / "outside.py").write_text("secret\n")
    (repository / "escape.py").symlink_to("../outside.py")
    os.mkfifo(repository / "pipe")
    with pytest.raises(BadInput, match=message):
        cite_code(spec, str(repository), str(repository))


def test_the_caller_s_git_variables_do_not_turn_it_elsewhere(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIT_DIR and its like are what hooks set; the citation is of the worktree all the same."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    assert "commit" in cite_code("auth.py:1", str(repository), str(repository))


def test_entries_logs_and_pages_are_cited_by_name(ada: Agent) -> None:
    """An entry at its current version, a log entry by its id, a page by its address."""
    fact, line = ada.remember("x"), ada.log("y")
    done = ada.remember("z", cite=[fact.id, line.id, "https://example.invalid/page", {"url": "x:y"}])
    assert ada.show(done.id).fields["citations"] == [
        {"entry": fact.id, "version": fact.version},
        {"log": line.id},
        {"url": "https://example.invalid/page"},
        {"url": "x:y"},
    ]


@pytest.mark.parametrize(
    "address", ["https://", "http:///page", "https://?x", "http://x y", "https://x/\n", "https://#a"]
)
def test_an_address_without_a_page_can_not_be_cited(ada: Agent, address: str) -> None:
    """Only its form is looked at; nothing is fetched."""
    with pytest.raises(BadInput, match="is no address of a page"):
        ada.remember("x", cite=[address])


def test_an_entry_that_is_not_there_can_not_be_cited() -> None:
    """Nor can code where there is no worktree."""
    with pytest.raises(NotFound):
        citation("fact-261121-00000000", None, "/", MemoryStore())
    with pytest.raises(BadInput, match="not inside a worktree"):
        citation("auth.py:1", None, "/", MemoryStore())
