"""Each way into a branch: which of them git's hooks refuse where another session owns what is written."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .fleet import Fleet

OWNED = "src/auth/login.py"


@pytest.fixture
def fleet(user: Path, tmp_path: Path) -> Fleet:
    """A guarded fleet in which ada owns src/auth."""
    made = Fleet(tmp_path)
    made.swarm(made.main, "guard", "install")
    made.own(made.ada, "path:src/auth/**")
    return made


def test_a_commit_of_what_another_owns_is_refused(fleet: Fleet) -> None:
    """The message names path, owner, line and end, and says what to do; what was staged stays staged."""
    fleet.edit(fleet.bob)
    said = fleet.refused(fleet.bob, "commit", "-m", "x")
    first, second = said.splitlines()
    assert first.startswith("swarm: src/auth/login.py is owned by ada (path:src/auth/**) until 20")
    assert first.endswith("Z; nothing was committed.")
    assert second == (
        "Leave it out, wait, ask (`swarm log --to ada TEXT`) for a `swarm release` or `swarm handoff`, "
        "or `swarm steal 'path:src/auth/**' --why TEXT`."
    )
    assert fleet.git(fleet.bob, "diff", "--cached", "--name-only").out == f"{OWNED}\n"


def test_the_owner_and_those_elsewhere_commit(fleet: Fleet) -> None:
    """The owner commits what they own, and anyone what nobody owns, also with an owned file changed but not staged."""
    fleet.edit(fleet.ada)
    fleet.allowed(fleet.ada, "commit", "-m", "mine")
    fleet.write(fleet.bob, OWNED, "not staged\n")
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.allowed(fleet.bob, "commit", "-m", "free")


def test_every_spelling_of_commit_is_refused(fleet: Fleet) -> None:
    """-a, a path, --only, --include, --amend, --allow-empty-message: git commits from another index in some of them."""
    fleet.write(fleet.bob, OWNED, "changed\n")
    for arguments in (["-a"], [OWNED], ["--only", OWNED], ["--include", OWNED], ["-a", "--amend"], ["-am", "x", "-q"]):
        fleet.refused(fleet.bob, "commit", "-m", "x", *arguments)
    fleet.refused(fleet.bob / "src", "commit", "-m", "x", "auth")


def test_who_did_not_join_is_refused(fleet: Fleet) -> None:
    """In a worktree in which nobody joined, as under a name that nobody has, all that is owned is another's."""
    fleet.edit(fleet.main)
    fleet.refused(fleet.main, "commit", "-m", "x")
    fleet.refused(fleet.main, "commit", "-m", "x", SWARM_AGENT="carol")


def test_an_agent_is_who_the_environment_says(fleet: Fleet) -> None:
    """SWARM_AGENT is heeded; the name alone does not make another worktree's session mine."""
    fleet.edit(fleet.ada)
    fleet.refused(fleet.ada, "commit", "-m", "x", SWARM_AGENT="bob")
    fleet.allowed(fleet.ada, "commit", "-m", "x", SWARM_AGENT="ada")
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "commit", "-m", "x", SWARM_AGENT="ada")


def test_a_lease_that_ran_out_refuses_nobody(fleet: Fleet) -> None:
    """Expiry makes claimable."""
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.own(fleet.ada, "path:src/shop.py", seconds=5)
    fleet.git(fleet.bob, "commit", "-m", "x", expect=1)
    time.sleep(5)
    fleet.allowed(fleet.bob, "commit", "-m", "x")


def test_what_was_released_handed_over_or_stolen_is_the_new_owners(fleet: Fleet) -> None:
    """The guard asks anew each time; who had it before is refused in turn. All by commands."""
    fleet.swarm(fleet.ada, "release")
    fleet.swarm(fleet.ada, "own", "path:src/auth/**", "--ttl", "60")
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "commit", "-m", "x")
    fleet.swarm(fleet.bob, "steal", "path:src/auth/**", "--why", "she is away")
    fleet.allowed(fleet.bob, "commit", "-m", "x")
    fleet.edit(fleet.ada)
    done = fleet.git(fleet.ada, "commit", "-m", "x", expect=1)
    assert "is owned by bob (path:src/auth/**)" in done.err
    fleet.swarm(fleet.bob, "handoff", "path:src/auth/**", "--to", "ada")
    fleet.allowed(fleet.ada, "commit", "-m", "x")
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "commit", "-m", "x")
    fleet.swarm(fleet.ada, "release")
    fleet.allowed(fleet.bob, "commit", "-m", "x")


def test_a_commit_renews_the_leases_of_its_session(fleet: Fleet) -> None:
    """As each call of the session does."""
    fleet.own(fleet.ada, "path:docs", seconds=6)
    time.sleep(3)
    fleet.edit(fleet.ada)
    fleet.allowed(fleet.ada, "commit", "-m", "x")
    (lease,) = (one for one in leases(fleet) if one["line"] == "path:docs")
    assert lease["until"] - lease["since"] > 8


def leases(fleet: Fleet) -> list[dict[str, Any]]:
    """Who owns what."""
    return [json.loads(line) for line in fleet.swarm(fleet.main, "leases", "--json").out.splitlines()]


@pytest.mark.parametrize("way", ["delete", "rename away", "rename in", "mode", "symlink", "to directory", "add"])
def test_what_happens_to_a_path_does_not_matter(fleet: Fleet, way: str) -> None:
    """Adding, deleting, renaming from or to, a new mode, a new type: each writes the path."""
    bob, auth = fleet.bob, fleet.bob / "src" / "auth"
    if way == "delete":
        fleet.git(bob, "rm", "--quiet", OWNED)
    elif way == "rename away":
        fleet.git(bob, "mv", OWNED, "src/login.py")
    elif way == "rename in":
        fleet.git(bob, "mv", "src/shop.py", "src/auth/shop.py")
    elif way == "mode":
        fleet.git(bob, "update-index", "--chmod=+x", OWNED)
    elif way == "symlink":
        (auth / "login.py").unlink()
        (auth / "login.py").symlink_to("../shop.py")
        fleet.git(bob, "add", OWNED)
    elif way == "to directory":
        fleet.git(bob, "rm", "--quiet", OWNED)
        fleet.write(bob, "src/auth", "a file now\n")
        fleet.git(bob, "add", "src/auth")
    else:
        fleet.edit(bob, "src/auth/deep/er/new.py")
    fleet.refused(bob, "commit", "-m", way)


@pytest.mark.parametrize(
    "name",
    ["a b", "-x", 'q"uote', "new\nline", "tab\t", "glob*[?]", "ünï", "\udce9\udcff", "back\\slash", ":(top)x", "."],
)
def test_odd_names_are_paths_like_others(fleet: Fleet, name: str) -> None:
    """Git quotes them in what it shows to people; the guard reads them as they are."""
    path = os.fsencode(fleet.bob) + b"/src/auth/" + (b"..x" if name == "." else os.fsencode(name))
    with open(path, "wb") as file:
        file.write(b"x")
    fleet.git(fleet.bob, "add", "--all")
    fleet.refused(fleet.bob, "commit", "-m", "x")


def test_a_link_to_what_is_owned_is_another_path(fleet: Fleet) -> None:
    """Through a symlinked directory git writes the path behind it, and that is refused; the link itself is free."""
    (fleet.bob / "alias").symlink_to("src/auth")
    fleet.git(fleet.bob, "add", "alias")
    fleet.allowed(fleet.bob, "commit", "-m", "a link")
    fleet.write(fleet.bob, "alias/login.py", "through the link\n")
    fleet.refused(fleet.bob, "commit", "-am", "x")


def test_a_submodule_stands_for_what_is_below_it(fleet: Fleet, tmp_path: Path) -> None:
    """Its commit is one entry of the tree; whoever owns a path in it, or it, owns that entry."""
    fleet.git(tmp_path, "init", "--quiet", "lib")
    fleet.write(tmp_path / "lib", "a.c", "a\n")
    fleet.git(tmp_path / "lib", "add", ".")
    fleet.git(tmp_path / "lib", "commit", "--quiet", "-m", "lib")
    fleet.git(fleet.bob, "submodule", "--quiet", "add", str(tmp_path / "lib"), "vendor/lib")
    fleet.allowed(fleet.bob, "commit", "-m", "free")
    fleet.own(fleet.ada, "path:vendor/lib/*.c")
    fleet.git(fleet.bob / "vendor/lib", "commit", "--quiet", "--allow-empty", "-m", "newer")
    fleet.git(fleet.bob, "config", "-f", ".gitmodules", "submodule.vendor/lib.ignore", "all")
    fleet.git(fleet.bob, "update-index", "--cacheinfo", f"160000,{fleet.head(fleet.bob / 'vendor/lib')},vendor/lib")
    done = fleet.git(fleet.bob, "commit", "-m", "x", expect=1)
    assert "swarm: vendor/lib is owned by ada (path:vendor/lib/*.c) until 20" in done.err


def test_a_detached_head_and_a_new_root_are_guarded(fleet: Fleet) -> None:
    """There need be neither a branch nor a commit before."""
    fleet.git(fleet.bob, "checkout", "--quiet", "--detach")
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "commit", "-m", "x")
    fleet.git(fleet.bob, "checkout", "--quiet", "--orphan", "fresh")
    done = fleet.git(fleet.bob, "commit", "-m", "x", expect=1)
    assert "is owned by ada" in done.err
    fleet.git(fleet.bob, "rm", "-r", "--quiet", "--cached", "src/auth")
    fleet.allowed(fleet.bob, "commit", "-m", "x")


def test_git_may_be_told_where_to_work(fleet: Fleet, tmp_path: Path) -> None:
    """With GIT_DIR, GIT_WORK_TREE and GIT_INDEX_FILE set, from elsewhere, the guard asks about the commit git makes."""
    git_dir = fleet.git(fleet.bob, "rev-parse", "--absolute-git-dir").out.strip()
    fleet.edit(fleet.bob)
    told = {"GIT_DIR": git_dir, "GIT_WORK_TREE": str(fleet.bob)}
    before = fleet.head(fleet.bob)
    for where in (tmp_path, fleet.ada, fleet.bob / "src"):
        done = fleet.git(where, "commit", "-m", "x", expect=1, **told)
        assert "is owned by ada" in done.err
    fleet.git(tmp_path, "-C", str(fleet.bob), "commit", "-m", "x", expect=1)
    fleet.git(tmp_path, f"--git-dir={git_dir}", f"--work-tree={fleet.bob}", "commit", "-m", "x", expect=1)
    assert fleet.head(fleet.bob) == before
    index = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    fleet.git(fleet.bob, "read-tree", "HEAD", **index)
    fleet.git(fleet.bob, "commit", "--allow-empty", "-m", "another index", **index)
    fleet.git(fleet.bob, "add", OWNED, **index)
    fleet.refused(fleet.bob, "commit", "-m", "x", **index)


def test_a_bare_repository_with_worktrees_is_guarded(user: Path, tmp_path: Path) -> None:
    """The commonest layout of swarms; also a push from the bare repository itself."""
    fleet = Fleet(tmp_path, bare=True)
    fleet.swarm(fleet.main, "guard", "install")
    fleet.own(fleet.ada, "path:src/auth/**")
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "commit", "-m", "x")
    fleet.git(fleet.bob, "commit", "--no-verify", "-m", "x")
    fleet.git(tmp_path, "init", "--quiet", "--bare", "remote")
    fleet.refused(fleet.main, "push", str(tmp_path / "remote"), "bob")


def test_case_does_not_make_another_file_where_it_does_not_for_git(fleet: Fleet) -> None:
    """With core.ignorecase, as on macOS, SRC/Auth is src/auth."""
    fleet.write(fleet.bob, "SRC/Auth/new.py", "x\n")
    fleet.git(fleet.bob, "add", "SRC")
    fleet.allowed(fleet.bob, "commit", "-m", "two directories")
    fleet.edit(fleet.bob, "SRC/Auth/new.py")
    fleet.git(fleet.bob, "config", "core.ignorecase", "true")
    fleet.refused(fleet.bob, "commit", "-m", "one directory")


def test_many_paths_of_several_owners_are_counted(fleet: Fleet) -> None:
    """Each lease has a line; beyond three paths their number is said."""
    fleet.swarm(fleet.main, "join", "carol")
    fleet.own(fleet.main, "path:docs")
    for n in range(5):
        fleet.edit(fleet.bob, f"src/auth/{n}.py")
    fleet.edit(fleet.bob, "docs/a.md")
    said = fleet.refused(fleet.bob, "commit", "-m", "x")
    assert "src/auth/0.py, src/auth/1.py, src/auth/2.py and 2 more are owned by ada" in said
    assert "docs/a.md is owned by carol (path:docs) until 20" in said
    assert len(said.splitlines()) == 3


def other(fleet: Fleet, branch: str = "other", path: str = OWNED) -> str:
    """A branch with a commit that writes a path, made behind the guard's back; its commit."""
    fleet.git(fleet.bob, "checkout", "--quiet", "-b", branch)
    fleet.edit(fleet.bob, path, f"{branch}\n")
    fleet.git(fleet.bob, "commit", "--quiet", "--no-verify", "-m", branch)
    commit = fleet.head(fleet.bob)
    fleet.git(fleet.bob, "checkout", "--quiet", "bob")
    return commit


def test_a_merge_that_brings_what_another_owns_is_refused(fleet: Fleet) -> None:
    """It is refused by pre-merge-commit, also with --no-commit at the commit; a fast-forward asks no hook."""
    other(fleet)
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.allowed(fleet.bob, "commit", "-m", "so that it is no fast-forward")
    fleet.refused(fleet.bob, "merge", "--no-edit", "other")
    fleet.git(fleet.bob, "merge", "--abort")
    fleet.git(fleet.bob, "merge", "--no-commit", "other")
    fleet.refused(fleet.bob, "commit", "--no-edit")
    fleet.git(fleet.bob, "merge", "--abort")
    fleet.git(fleet.bob, "merge", "--squash", "other")
    fleet.refused(fleet.bob, "commit", "-m", "squashed")


def test_a_merge_that_writes_nothing_new_is_allowed(fleet: Fleet) -> None:
    """The owner's own branch, the branch of the main worktree, and what a remote has may be merged."""
    fleet.edit(fleet.ada)
    fleet.allowed(fleet.ada, "commit", "-m", "hers")
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.allowed(fleet.bob, "commit", "-m", "his")
    fleet.allowed(fleet.bob, "merge", "--no-edit", "ada")
    fleet.edit(fleet.main, "src/auth/old.py")
    fleet.git(fleet.main, "commit", "--no-verify", "-m", "landed on main")
    fleet.allowed(fleet.bob, "merge", "--no-edit", "main")
    commit = other(fleet, "elsewhere", "src/auth/far.py")
    fleet.git(fleet.bob, "update-ref", "refs/remotes/origin/far", commit)
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.allowed(fleet.bob, "commit", "-m", "again")
    fleet.allowed(fleet.bob, "merge", "--no-edit", "refs/remotes/origin/far")


def test_a_merge_that_mixes_an_owned_file_is_refused(fleet: Fleet) -> None:
    """Where both sides changed it, with a conflict or without, the result is a text that nobody wrote before."""
    text = "".join(f"{n}\n" for n in range(20))
    fleet.write(fleet.main, OWNED, text)
    fleet.git(fleet.main, "commit", "--quiet", "--no-verify", "-am", "longer")
    fleet.git(fleet.bob, "merge", "--quiet", "main")
    fleet.write(fleet.main, OWNED, f"first\n{text}")
    fleet.git(fleet.main, "commit", "--quiet", "--no-verify", "-am", "first")
    fleet.write(fleet.bob, OWNED, f"{text}last\n")
    fleet.git(fleet.bob, "commit", "--quiet", "--no-verify", "-am", "last")
    fleet.refused(fleet.bob, "merge", "--no-edit", "main")
    fleet.git(fleet.bob, "merge", "--abort")
    fleet.write(fleet.main, OWNED, f"{text}other\n")
    fleet.git(fleet.main, "commit", "--quiet", "--no-verify", "-am", "conflicting")
    assert fleet.git(fleet.bob, "merge", "--no-edit", "main", expect=1).out.count("CONFLICT") == 1
    fleet.write(fleet.bob, OWNED, "resolved\n")
    fleet.git(fleet.bob, "add", OWNED)
    fleet.refused(fleet.bob, "merge", "--continue", GIT_EDITOR="true")
    fleet.refused(fleet.bob, "commit", "--no-edit")


def test_a_cherry_pick_that_stopped_is_refused_when_it_goes_on(fleet: Fleet) -> None:
    """Git commits it as `git commit` does."""
    commit = other(fleet)
    fleet.edit(fleet.bob, text="conflicting\n")
    fleet.git(fleet.bob, "commit", "--quiet", "--no-verify", "-m", "his")
    assert "CONFLICT" in fleet.git(fleet.bob, "cherry-pick", commit, expect=1).out
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "cherry-pick", "--continue", GIT_EDITOR="true")


WAYS = ["no-verify", "rebase", "cherry-pick", "revert", "am", "fast-forward", "reset", "hooks off", "plumbing"]


def sneak(fleet: Fleet, way: str) -> None:
    """Get a commit that writes what ada owns onto bob's branch, in a way that asks no hook."""
    bob = fleet.bob
    if way == "no-verify":
        fleet.edit(bob)
        fleet.git(bob, "commit", "--no-verify", "-m", "x")
    elif way == "hooks off":
        fleet.edit(bob)
        fleet.git(bob, "-c", "core.hooksPath=/dev/null", "commit", "-m", "x")
    elif way == "plumbing":
        fleet.edit(bob)
        tree = fleet.git(bob, "write-tree").out.strip()
        commit = fleet.git(bob, "commit-tree", "-p", "HEAD", "-m", "x", tree).out.strip()
        fleet.git(bob, "update-ref", "HEAD", commit)
    elif way == "rebase":
        other(fleet)
        fleet.edit(bob, "src/shop.py")
        fleet.git(bob, "commit", "-m", "below")
        fleet.git(bob, "checkout", "--quiet", "-B", "mine", "other")
        fleet.git(bob, "rebase", "--quiet", "bob")
        fleet.git(bob, "checkout", "--quiet", "-B", "bob", "mine")
    elif way == "cherry-pick":
        fleet.git(bob, "cherry-pick", other(fleet))
    elif way == "revert":
        fleet.edit(fleet.main)
        fleet.git(fleet.main, "commit", "--no-verify", "-m", "landed")
        fleet.git(bob, "merge", "--ff-only", "main")
        fleet.git(bob, "update-ref", "refs/remotes/origin/main", "main")
        fleet.git(bob, "revert", "--no-edit", "HEAD")
    elif way == "am":
        patch = fleet.git(bob, "format-patch", "--stdout", "-1", other(fleet)).out
        (fleet.directory / "patch").write_text(patch)
        fleet.git(bob, "am", "--quiet", str(fleet.directory / "patch"))
    elif way == "fast-forward":
        other(fleet)
        fleet.git(bob, "merge", "--ff-only", "other")
    elif way == "reset":
        fleet.git(bob, "reset", "--quiet", "--hard", other(fleet))


@pytest.mark.parametrize("way", WAYS)
def test_what_asks_no_hook_is_caught_at_the_push(fleet: Fleet, way: str, tmp_path: Path) -> None:
    """Git runs no pre-commit hook for these; pre-push looks at every commit that no remote has."""
    fleet.git(tmp_path, "init", "--quiet", "--bare", "remote")
    fleet.git(fleet.bob, "remote", "add", "origin", str(tmp_path / "remote"))
    fleet.git(fleet.bob, "push", "--quiet", "origin", "main")
    sneak(fleet, way)
    commit = fleet.git(fleet.bob, "log", "-1", "--format=%H", "--", OWNED).out.strip()
    said = fleet.refused(fleet.bob, "push", "origin", "bob")
    assert f"{OWNED}, written in {commit[:12]}, is owned by ada" in said
    assert "; nothing was pushed." in said
    assert fleet.git(fleet.bob, "ls-remote", "origin", "bob").out == ""
    fleet.git(fleet.bob, "push", "--no-verify", "origin", "bob")


def test_a_push_of_what_the_owner_has_is_allowed(fleet: Fleet, tmp_path: Path) -> None:
    """The owner's commits, also when another merged them; what the owner began from; a deletion; what is there."""
    remote = str(tmp_path / "remote")
    fleet.git(tmp_path, "init", "--quiet", "--bare", "remote")
    fleet.edit(fleet.ada)
    fleet.git(fleet.ada, "commit", "-m", "hers")
    fleet.git(fleet.bob, "merge", "--quiet", "--no-ff", "--no-edit", "ada")
    fleet.allowed(fleet.bob, "push", "--quiet", remote, "bob", "main", "bob:doomed")
    fleet.allowed(fleet.ada, "push", "--quiet", remote, "ada", "ada:refs/tags/v1")
    fleet.allowed(fleet.bob, "push", "--quiet", remote, "--delete", "doomed")
    fleet.allowed(fleet.bob, "push", "--quiet", remote, "bob")


def test_a_push_of_what_the_owner_does_not_have_is_refused_in_every_form(fleet: Fleet, tmp_path: Path) -> None:
    """A new branch, a tag, several refs of which one is wrong, an address instead of a remote, --force, --all."""
    fleet.git(tmp_path, "init", "--quiet", "--bare", "remote")
    remote = str(tmp_path / "remote")
    fleet.git(fleet.bob, "tag", "-a", "-m", "t", "v1", other(fleet))
    for arguments in (
        [remote, "other"],
        [remote, "v1"],
        [remote, "main", "other:refs/heads/new"],
        ["--force", f"file://{remote}", "+other:main"],
        ["--all", remote],
        ["--mirror", remote],
    ):
        fleet.refused(fleet.bob, "push", *arguments)
    assert fleet.git(fleet.bob, "ls-remote", remote).out == ""


def test_a_commit_from_before_the_lease_waits_too(fleet: Fleet, tmp_path: Path) -> None:
    """While a lease is live nobody else's change lands, whenever it was made; then it does."""
    fleet.git(tmp_path, "init", "--quiet", "--bare", "remote")
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.allowed(fleet.bob, "commit", "-m", "nobody owns it")
    fleet.own(fleet.ada, "path:src/shop.py")
    done = fleet.git(fleet.bob, "push", str(tmp_path / "remote"), "bob", expect=1)
    assert "is owned by ada (path:src/shop.py) until 20" in done.err
    fleet.swarm(fleet.ada, "release", "path:src/shop.py")
    fleet.allowed(fleet.bob, "push", "--quiet", str(tmp_path / "remote"), "bob")


def test_two_agents_in_one_worktree_are_told_apart_at_the_push(fleet: Fleet, tmp_path: Path) -> None:
    """What is checked out there is then no sign of whose it is."""
    fleet.git(tmp_path, "init", "--quiet", "--bare", "remote")
    sneak(fleet, "no-verify")
    fleet.git(fleet.ada, "merge", "--quiet", "--ff-only", "bob")
    fleet.allowed(fleet.ada, "push", "--quiet", str(tmp_path / "remote"), "ada:one")
    fleet.git(tmp_path, "init", "--quiet", "--bare", "second")
    fleet.refused(fleet.ada, "push", str(tmp_path / "second"), "ada", SWARM_AGENT="bob")


def test_without_the_program_git_goes_on_and_says_so(fleet: Fleet, tmp_path: Path) -> None:
    """A hook that cannot ask fails open, on stderr: for a Python that is gone, for one that has no swarm."""
    hook = fleet.main / ".git/hooks/pre-commit"
    text = hook.read_text()
    assert sys.executable in text
    fleet.edit(fleet.bob)
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if not os.path.exists(f"{part}/swarm"))
    hook.write_text(text.replace(sys.executable, "/nowhere/python"))
    done = fleet.git(fleet.bob, "commit", "-m", "x", PATH=path)
    assert done.err.startswith("swarm: pre-commit could not ask who owns what")
    assert "NOT CHECKED" in done.err
    empty = tmp_path / "python"
    empty.write_text("#!/bin/sh\necho No module named swarm >&2\nexit 1\n")
    empty.chmod(0o755)
    hook.write_text(text.replace(sys.executable, str(empty)))
    done = fleet.git(fleet.bob, "commit", "--amend", "--no-edit")
    assert done.err.startswith("No module named swarm\nswarm: pre-commit could not ask")


def test_without_leases_git_is_asked_nothing(user: Path, tmp_path: Path) -> None:
    """Nobody owns anything: no line is printed, and no directory of leases is made."""
    fleet = Fleet(tmp_path)
    fleet.swarm(fleet.main, "guard", "install")
    fleet.edit(fleet.bob)
    fleet.allowed(fleet.bob, "commit", "-m", "x")
    assert not (fleet.main / ".git/swarm/leases.db").exists()
