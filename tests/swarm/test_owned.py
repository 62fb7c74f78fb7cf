"""`swarm check --ref`: what a branch writes that others own, found before it is merged."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from .fleet import Fleet
from .test_guard import OWNED, WAYS, sneak


@pytest.fixture
def fleet(user: Path, tmp_path: Path) -> Fleet:
    """A fleet in which ada owns src/auth. There are no hooks."""
    made = Fleet(tmp_path)
    made.own(made.ada, "path:src/auth/**")
    return made


@pytest.mark.parametrize("way", WAYS)
def test_what_no_hook_saw_is_found_in_the_branch(fleet: Fleet, way: str) -> None:
    """Exit code 1, and one line names the path, the commit, the owner, the lease and its end."""
    fleet.swarm(fleet.main, "check", "--ref", "bob", "--since", "main")
    sneak(fleet, way)
    commit = fleet.git(fleet.bob, "log", "-1", "--format=%H", "--", OWNED).out.strip()
    since = "main~1" if way == "revert" else "main"
    done = fleet.swarm(fleet.main, "check", "--ref", "bob", "--since", since, expect=1)
    said = f"error: {OWNED}: {commit} writes it; it is owned by ada (path:src/auth/**) until 20"
    lines = done.out.splitlines()
    assert lines[0].startswith(said) and lines[0].endswith("Z [owned]")
    assert lines[-1].endswith(f": {2 if way == 'revert' else 1} errors, 0 warnings.".replace("1 errors", "1 error"))


def test_what_the_owner_has_or_wrote_is_not_found(fleet: Fleet) -> None:
    """Her worktree has it, or --as says whose branch it is; whoever runs the check does not matter."""
    fleet.edit(fleet.ada)
    fleet.git(fleet.ada, "commit", "-m", "hers")
    fleet.git(fleet.bob, "merge", "--quiet", "--no-ff", "--no-edit", "ada")
    for where in (fleet.main, fleet.ada, fleet.bob):
        fleet.swarm(where, "check", "--ref", "ada", "--since", "main")
        fleet.swarm(where, "check", "--ref", "bob", "--since", "main")
    fleet.git(fleet.ada, "checkout", "--quiet", "-b", "next", "main")
    fleet.swarm(fleet.ada, "check", "--ref", "ada", "--since", "main", expect=1)
    fleet.swarm(fleet.main, "check", "--ref", "ada", "--since", "main", "--as", "ada")
    fleet.swarm(fleet.main, "check", "--ref", "ada", "--since", "main", "--as", "bob", expect=1)


def test_the_formats(fleet: Fleet) -> None:
    """JSON with the file; GitHub's annotations, in which no path can end the line or begin another field."""
    path = "src/auth/a,b:c%\nd.py"
    fleet.edit(fleet.bob, path)
    fleet.git(fleet.bob, "commit", "-m", "x")
    arguments = ("check", "--since", "main")
    found = json.loads(fleet.swarm(fleet.bob, *arguments, "--json", expect=1).out)
    assert (found["ok"], [(one["rule"], one["file"]) for one in found["findings"]]) == (False, [("owned", path)])
    done = fleet.swarm(fleet.bob, *arguments, "--format", "github", expect=1)
    first = done.out.splitlines()[0]
    assert first.startswith("::error file=src/auth/a%2Cb%3Ac%25%0Ad.py,title=owned::")
    assert fleet.head(fleet.bob) in first


def test_a_shallow_clone_elsewhere_is_told_the_leases(fleet: Fleet, tmp_path: Path) -> None:
    """Without them it passes and says so; with them it finds. No lease: bad input; one that ran out: not heeded."""
    sneak(fleet, "no-verify")
    clone = tmp_path / "clone"
    fleet.git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{fleet.main}", str(clone))
    fleet.swarm(clone, "init")
    arguments = ("check", "--ref", "origin/bob", "--since", "origin/main")
    done = fleet.swarm(clone, *arguments)
    assert ": 0 errors, 0 warnings. Who owns what was not looked at: no leases are kept here" in done.out
    assert json.loads(fleet.swarm(clone, *arguments, "--json").out)["unseen"] == [
        "Who owns what was not looked at: no leases are kept here; --leases takes them from where agents work."
    ]
    lease = {"line": "path:src/auth", "agent": "ada", "session": "s", "until": 4e9}
    leases = tmp_path / "leases"
    leases.write_text(json.dumps(lease) + "\n" + json.dumps({**lease, "line": "path:src", "until": 1}) + "\n")
    done = fleet.swarm(clone, *arguments, "--leases", str(leases), expect=1)
    assert done.out.splitlines()[0].startswith(f"error: {OWNED}: {fleet.head(fleet.bob)} writes it; it is owned by ada")
    assert done.out.splitlines()[-1].endswith(": 1 error, 0 warnings.")
    leases.write_text(fleet.swarm(fleet.bob, "leases", "--json").out)
    done = fleet.swarm(clone, *arguments, "--leases", str(leases), expect=1)
    assert "it is owned by ada (path:src/auth/**) until 20" in done.out
    other = {"line": "path:src/auth/**", "agent": "ada", "session": "x", "until": 4e9}
    wrong = ({"line": 5}, {"line": "/"}, {"until": math.nan}, {"until": 1e300}, {"until": "soon"})
    for text in ("nobody owns anything.", "[]", *(json.dumps(other | part) for part in wrong)):
        leases.write_text(text)
        done = fleet.swarm(clone, *arguments, "--leases", str(leases), expect=2)
        assert done.err.startswith("swarm: line 1 of the leases is not of `swarm leases --json`")
    fleet.swarm(clone, *arguments, "--leases", str(tmp_path / "none"), expect=2)


def test_what_names_no_commit_is_bad_input(fleet: Fleet) -> None:
    """Also an option in the place of a branch; and the base must be said where origin has no main branch."""
    for ref in ("nothing", "--all", "main:src", "a..b", "", "x\ny"):
        done = fleet.swarm(fleet.main, "check", f"--ref={ref}", "--since=main", expect=2)
        assert done.err.startswith(f"swarm: {ref!r} names no commit of this repository"), done
    done = fleet.swarm(fleet.main, "check", "--ref", "bob", expect=2)
    assert done.err.startswith("swarm: say what the branch is to be merged into, such as --since main")
    fleet.git(fleet.main, "update-ref", "refs/remotes/origin/main", "main")
    fleet.git(fleet.main, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    fleet.swarm(fleet.main, "check", "--ref", "bob")
