"""Trees of code that are hostile, damaged or only there in part, and what a branch changed of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import Swarm
from swarm.anchor import Text, read_anchor
from swarm.codetree import CodeTree, Unreadable, changed_files, fork_of
from swarm.judge import places
from swarm.verdicts import Evidence

from .conftest import Ran, git

Run = Callable[..., Ran]


def commit(repository: Path, message: str = "change") -> str:
    """Commit all that is there; its id."""
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "-m", message)
    return git(repository, "rev-parse", "HEAD").strip()


def test_changed_lines_are_those_of_their_own_file(repository: Path) -> None:
    """Also where a line of a file reads like the head of another file or hunk, and where names have spaces or marks."""
    names = ("a.py", "b c.py", "é.py", 'q"\t.py', "tab\tend\t")
    for name in names:
        (repository / name).write_text("1\n2\n3\n4\n")
    old = commit(repository)
    for name in names:
        (repository / name).write_text("1\n2\n3\n4\n5\n")
    (repository / "a.py").write_text("++ b/b c.py\n2\n@ -1 +9,9 @@\n-- a/x\n4\n")
    (repository / "gone.py").unlink(missing_ok=True)
    new = commit(repository)
    assert changed_files(str(repository), old, new) == {
        "a.py": [(1, 1), (3, 4)],
        **{name: [(5, 5)] for name in names[1:]},
    }


def test_a_branch_is_not_told_of_what_others_changed_since_it_began(repository: Path, run: Run) -> None:
    """Its own changes begin where it left the other branch; where history is cut off, at what is given."""
    began = git(repository, "rev-parse", "HEAD").strip()
    git(repository, "checkout", "--quiet", "-b", "topic")
    (repository / "other.py").write_text("x = 1\n")
    tip = commit(repository)
    git(repository, "checkout", "--quiet", "main")
    (repository / "auth.py").write_text("def login():\n    return True\n\n\ndef logout():\n    return None\n")
    commit(repository)
    assert run("--as", "ada", "remember", "Logging out", "--cite", "auth.py:5-6").code == 0
    done = run("check", "--ref", "topic", "--since", "main", "--json")
    assert (done.code, json.loads(done.out)["findings"]) == (0, [])
    assert fork_of(str(repository), "main", "topic") == began
    git(repository, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{repository}", "shallow")
    assert fork_of(str(repository / "shallow"), "origin/main", tip) == "origin/main"


def test_no_citation_asks_git_for_more_than_a_commit(repository: Path) -> None:
    """What looks like a search, a branch or an option is no commit."""
    tree = CodeTree(str(repository), "HEAD")
    assert tree.of_commit(tree.commit, "auth.py") is not None
    for name in ("HEAD", ":/begin", "main", "--all", tree.commit[:12], "HEAD@{now}", f"{tree.commit}\n"):
        assert tree.of_commit(name, "auth.py") is None
    tree.close()


def test_a_huge_file_is_not_read(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to cite it nor to judge it, and the files after it are."""
    (repository / "huge.py").write_bytes(b"x = 1\n" * 1_000_000)
    (repository / "after.py").write_text("y = 2\n")
    done = run("--as", "ada", "remember", "It is long", "--cite", "huge.py:1-2")
    assert (done.code, "it is too large" in done.err) == (2, True)
    commit(repository)
    tree = CodeTree(str(repository), "HEAD")
    with pytest.raises(Unreadable, match="it is too large"):
        tree.text("huge.py")
    assert tree.of_commit(tree.commit, "after.py") is not None
    tree.close()


def test_what_is_in_a_submodule_is_not_checked_and_the_reason_said(repository: Path, run: Run) -> None:
    """Its files are in another repository, whatever the worktree has there."""
    inner = repository / "vendor"
    inner.mkdir()
    git(inner, "init", "--quiet")
    (inner / "lib.py").write_text("def f():\n    return 1\n")
    commit(inner)
    commit(repository)
    assert run("--as", "ada", "remember", "F is 1", "--cite", "vendor/lib.py:1-2").code == 0
    with Swarm.open(str(repository)) as swarm:
        (found,) = Evidence(swarm, "HEAD").verdicts()
    assert (found.verdict, found.why) == ("uncheckable", "it is in a submodule, whose files are in another repository")


@pytest.mark.parametrize("part", ["tree", "blob"])
def test_a_damaged_repository_is_no_traceback(repository: Path, run: Run, part: str) -> None:
    """All is uncheckable, and it is said why."""
    (repository / "src").mkdir()
    (repository / "src/code.py").write_text("def f():\n    return 1\n")
    commit(repository)
    assert run("--as", "ada", "remember", "F is 1", "--cite", "src/code.py:1-2").code == 0
    (repository / "top.py").write_text("x = 1\n")
    name = "HEAD:src" if part == "tree" else "HEAD:src/code.py"
    (repository / "src/code.py").write_text("def f():\n    return 2\n")
    commit(repository)
    damaged = git(repository, "rev-parse", name).strip()
    file = repository / ".git/objects" / damaged[:2] / damaged[2:]
    file.chmod(0o644)
    file.write_bytes(b"not an object")
    done = run("verify")
    assert (done.code, "uncheckable" in done.out, "Traceback" in done.err) == (1, True, False), done
    done = run("check")
    assert (done.code, "none of 1 citations of code could be checked" in done.out) == (1, True)


def test_a_partial_clone_is_checked_again_once_the_text_is_there(repository: Path, run: Run, tmp_path: Path) -> None:
    """That a blob was not fetched is not kept as what is known of it; nothing is fetched unasked."""
    assert run("--as", "ada", "remember", "Logging out", "--cite", "auth.py:5-6").code == 0
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{repository}", "part")
    home = str(repository / ".git/swarm")

    def verdict() -> str:
        with Swarm.open(str(tmp_path / "part"), home) as swarm:
            return Evidence(swarm).verdicts()[0].verdict

    assert verdict() == "uncheckable"
    git(tmp_path / "part", "checkout", "--quiet", "main")
    assert verdict() == "fresh"


@pytest.mark.parametrize("format", ["--ref-format=reftable", "--object-format=sha256"])
def test_other_kinds_of_repository(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    """Reftable and sha256, where this git knows them; only git reads the user's repository."""
    made = subprocess.run(["git", "init", "--quiet", "-b", "main", format, tmp_path / "code"], check=False)
    if made.returncode:
        pytest.skip("this git does not know it")
    monkeypatch.chdir(tmp_path / "code")
    (tmp_path / "code/a.py").write_text("def f():\n    return 1\n")
    commit(tmp_path / "code")
    assert run("init").code == 0
    assert run("--as", "ada", "remember", "F is 1", "--cite", "a.py:1-2").code == 0
    (tmp_path / "code/a.py").write_text("import os\ndef f():\n    return 1\n")
    commit(tmp_path / "code")
    assert "moved to a.py:2-3" in run("verify").out
    assert run("--as", "ada", "verify", "--fix").code == 0
    git(tmp_path / "code", "checkout", "--quiet", "-b", "topic")
    (tmp_path / "code/a.py").write_text("import os\ndef f():\n    return 2\n")
    commit(tmp_path / "code")
    assert run("check", "--since", "main").code == 1


def test_a_citation_that_says_it_has_any_number_of_lines_costs_nothing() -> None:
    """It is only looked for where it would fit."""
    text = Text(b"a = 1\nb = 2\n")
    marks = "AAAAAA.AAAAAA...".replace("AAAAAA.AAAAAA", "." + _mark(text))
    anchor = read_anchor({"path": "a.py", "lines": [1, 2_000_000_000], "sha256": "0" * 64, "marks": marks})
    assert anchor is not None and len(anchor.span) == 1
    began = time.monotonic()
    assert list(places(anchor, "a.py", text)) == []
    assert time.monotonic() - began < 1.0
    longer = read_anchor({"path": "a.py", "lines": [1, 2], "sha256": "0" * 64, "marks": f".{'A' * 20_000}..."})
    assert longer is not None and longer.span == ()


def _mark(text: Text) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(text.marks[0].to_bytes(4, "big")).rstrip(b"=").decode()
