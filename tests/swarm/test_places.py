"""Every kind of repository that agents work in, and places that may not be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Ran, git

Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ledger, agent or git identity from the environment."""
    for name in ("SWARM_HOME", "SWARM_AGENT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))


def works(run: Run, title: str = "Login passes") -> None:
    """A fact that cites code is written and found from here."""
    assert run("init").code == 0
    done = run("--as", "ada", "remember", title, "--cite", "auth.py:1-2")
    assert done.code == 0, done.err
    assert f". {done.id}" in run("recall", "login").out
    assert run("check").code == 0


def make(path: Path, *options: str) -> None:
    """A repository with one commit."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main", *options)
    (path / "auth.py").write_text("def login():\n    return True\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "begin")


def test_a_bare_clone_with_worktrees(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its worktrees, and the bare repository itself, share one ledger."""
    make(tmp_path / "origin")
    git(tmp_path, "clone", "--quiet", "--bare", "origin", "shared.git")
    ledgers = set()
    for name in ("one", "two"):
        git(tmp_path / "shared.git", "worktree", "add", "--quiet", "-b", name, str(tmp_path / name))
        monkeypatch.chdir(tmp_path / name)
        works(run, f"Login passes in {name}")
        ledgers.add(run("status").out.splitlines()[0])
    monkeypatch.chdir(tmp_path / "shared.git")
    ledgers.add(run("status").out.splitlines()[0])
    assert ledgers == {f"ledger   {tmp_path}/shared.git/swarm/ledger.git"}
    done = run("--as", "ada", "remember", "x", "--cite", "auth.py:1")
    assert (done.code, "not inside a worktree" in done.err) == (2, True)


def test_a_shallow_clone_with_a_detached_head(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither history nor a branch is needed."""
    make(tmp_path / "origin")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tmp_path}/origin", "shallow")
    git(tmp_path / "shallow", "checkout", "--quiet", "--detach")
    monkeypatch.chdir(tmp_path / "shallow")
    works(run)


@pytest.mark.parametrize("option", ["--object-format=sha256", "--ref-format=reftable"])
def test_repositories_of_other_formats(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """The ledger is a repository of its own, so the user's format does not matter."""
    probe = subprocess.run(["git", "init", "-q", option, str(tmp_path / "probe")], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"this git does not know {option}")
    make(tmp_path / "repository", option)
    monkeypatch.chdir(tmp_path / "repository")
    works(run)


def test_from_a_directory_below(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in the worktree one stands, it is the same ledger and the same agent."""
    make(tmp_path / "repository")
    (tmp_path / "repository/a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repository")
    assert (run("init").code, run("join", "ada").code) == (0, 0)
    monkeypatch.chdir(tmp_path / "repository/a/b")
    assert run("log", "x").code == 0
    assert f"ledger   {tmp_path}/repository/.git/swarm/ledger.git\n" in run("status").out


def test_a_ledger_that_is_gone_is_damage(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told that there is none yet would begin another."""
    make(tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    works(run)
    (tmp_path / "repository/.git/swarm/ledger.git").rename(tmp_path / "elsewhere")
    for words in (["log", "x"], ["status"], ["doctor"]):
        done = run(*words)
        assert (done.code, "ledger.git is gone; put it back from a copy, or run `swarm init`" in done.err) == (5, True)
    assert run("init").code == 0 and run("status").code == 0


def test_nothing_outside_the_ledger_s_home_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worktree (the view apart, which git is told not to see) and the user's own git files stay as they are."""

    def files() -> dict[str, bytes]:
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        ours = ("/.git/swarm/", "/.swarm/", "/.git/info/exclude")
        return {str(path): path.read_bytes() for path in found if not any(part in str(path) for part in ours)}

    make(tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    before = files()
    works(run)
    run("join", "ada")
    for words in (["log", "x"], ["status"], ["gc"], ["doctor"], ["reindex"], ["export"], ["git", "log"]):
        assert run(*words).code == 0
    assert files() == before


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that any user reaches: those above tmp_path are for its owner alone."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_place_that_may_not_be_written(run: Run, open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A denied write says so and names SWARM_HOME; nothing is lost and reading without a name works."""
    make(open_directory / "repository")
    monkeypatch.chdir(open_directory / "repository")
    works(run, "Login passes at first")
    home = open_directory / "repository/.git/swarm"
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    for directory, _, names in os.walk(home):
        for name in names:
            os.chmod(Path(directory) / name, 0o444)
        os.chmod(directory, 0o555)
    try:
        done = subprocess.run(
            [*as_nobody, sys.executable, "-m", "swarm", "--as", "ada", "log", "x"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GIT_CONFIG_COUNT": "0"},
        )
    finally:
        for directory, _, names in os.walk(home):
            os.chmod(directory, 0o755)
            for name in names:
                os.chmod(Path(directory) / name, 0o644)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "Set SWARM_HOME to a directory that may be written" in done.stderr
    assert done.stderr.count("\n") <= 2
    works(run, "Login passes for a while")
    monkeypatch.chdir("/")
