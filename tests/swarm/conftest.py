"""What tests of the API and the command share: ledgers in memory and in real repositories, with a fixed clock."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm import Agent, Env, Swarm
from swarm.cli import main
from swarm_ledger.memory import MemoryStore
from swarm_ledger.place import Place


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_258_443.25  # 2026-11-21T10:54:03.25Z

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory_swarm(tmp_path: Path, clock: Clock) -> Callable[[str], Swarm]:
    """Makes views of one ledger in memory, each from a worktree of its own of the name that is given."""
    store = MemoryStore()
    env = Env(rng=random.Random(42), now=clock)

    def make(worktree: str = "main") -> Swarm:
        directory, git_dir = tmp_path / worktree, tmp_path / "git" / worktree
        directory.mkdir(exist_ok=True)
        git_dir.mkdir(parents=True, exist_ok=True)
        place = Place(str(tmp_path / "home"), str(tmp_path / "git"), str(git_dir), str(directory))
        return Swarm(store, place, str(directory), env)

    return make


@pytest.fixture
def ada(memory_swarm: Callable[[str], Swarm]) -> Agent:
    """An agent who joined from a worktree of its own."""
    return memory_swarm("ada").join("ada")


@pytest.fixture
def bob(memory_swarm: Callable[[str], Swarm]) -> Agent:
    """Another agent of the same ledger."""
    return memory_swarm("bob").join("bob")


def git(directory: Path, *arguments: str) -> str:
    """Run git as a user would."""
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@example.invalid", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of git with a configuration of their own, and nobody's environment."""
    for name in list(os.environ):
        if name.startswith("GIT_") or name in ("SWARM_HOME", "SWARM_AGENT"):
            monkeypatch.delenv(name)
    settings = tmp_path / "gitconfig"
    settings.write_text('[user]\n\tname = u\n\temail = u@example.invalid\n[protocol "file"]\n\tallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    return settings


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a ledger, as the current directory, and nobody's environment."""
    for name in ("SWARM_HOME", "SWARM_AGENT"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "auth.py").write_text("def login():\n    return True\n\n\ndef logout():\n    return False\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "begin")
    monkeypatch.chdir(path)
    Swarm.init(str(path)).close()
    return path


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def id(self) -> str:
        """The entry that it names first."""
        return self.out.split()[0]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the command in this process."""

    def call(*arguments: str) -> Ran:
        capfd.readouterr()
        code = main(arguments)
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call
