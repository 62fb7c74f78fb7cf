"""A code repository with worktrees in which agents joined, guarded by real hooks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from swarm import Swarm

from .conftest import Ran

__all__ = ["Fleet"]


class Fleet:
    """`main` is the repository; `ada` and `bob` are worktrees of it, each with an agent of that name."""

    def __init__(self, directory: Path, *, bare: bool = False, **environment: str) -> None:
        self.directory = directory
        self.main = directory / "main"
        self.git(directory, "init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []), "main")
        if bare:
            self.git(directory, "init", "--quiet", "--initial-branch=main", "seed")
        seed = directory / ("seed" if bare else "main")
        self.write(seed, "src/auth/login.py", "login\n")
        self.write(seed, "src/shop.py", "shop\n")
        self.git(seed, "add", ".")
        self.git(seed, "commit", "--quiet", "-m", "begin")
        if bare:
            self.git(seed, "push", "--quiet", str(self.main), "main")
        home = environment.get("SWARM_HOME")
        Swarm.init(str(self.main), home).close()
        for name in ("ada", "bob"):
            self.git(self.main, "worktree", "add", "--quiet", "-b", name, str(directory / name), "main")
            with Swarm.open(str(directory / name), home) as swarm:
                swarm.join(name)
        self.ada, self.bob = directory / "ada", directory / "bob"

    def git(self, where: Path, *arguments: str, expect: int | None = 0, **environment: str) -> Ran:
        """Run git as an agent does; `expect` None takes any exit code."""
        return _run(["git", *arguments], where, expect, environment)

    def swarm(self, where: Path, *arguments: str, expect: int | None = 0, **environment: str) -> Ran:
        """Run the command in a process of its own."""
        return _run([sys.executable, "-m", "swarm", *arguments], where, expect, environment)

    def write(self, where: Path, path: str, text: str) -> None:
        """Put a file there, its directory too."""
        whole = where / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(text)

    def own(self, where: Path, *lines: str, seconds: float = 900, home: str | None = None) -> None:
        """Let the agent of a worktree own `lines`."""
        with Swarm.open(str(where), home) as swarm:
            agent = swarm.agent()
            assert agent
            agent.own(*lines, ttl=seconds)

    def edit(self, where: Path, path: str = "src/auth/login.py", text: str = "changed\n") -> None:
        """Add a line to a file and stage it."""
        whole = where / path
        self.write(where, path, (whole.read_text() if whole.exists() else "") + text)
        self.git(where, "add", "--", path)

    def head(self, where: Path) -> str:
        """The commit that a worktree is on."""
        return self.git(where, "rev-parse", "HEAD").out.strip()

    def refused(self, where: Path, *arguments: str, **environment: str) -> str:
        """Run git, which the guard must refuse and which must leave the branch where it was; what was said."""
        before = self.head(where)
        done = self.git(where, *arguments, expect=None, **environment)
        assert done.code != 0, done
        assert re.search(r"(is|are) owned by ada \(path:src/auth/\*\*\) until 20", done.err), done
        assert self.head(where) == before
        return done.err

    def allowed(self, where: Path, *arguments: str, **environment: str) -> str:
        """Run git, of which the guard must have nothing to say; what was said."""
        done = self.git(where, *arguments, **environment)
        assert "swarm:" not in done.err
        return done.out + done.err


def _run(command: list[str], where: Path, expect: int | None, environment: dict[str, str]) -> Ran:
    done = subprocess.run(
        command,
        cwd=where,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert expect is None or ran.code == expect, (command, ran)
    return ran
