"""Putting the guard's hooks in and out: what was there before goes on working, wherever git looks for hooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm import hooks
from swarm_ledger.errors import Refused
from swarm_ledger.place import find

from .fleet import Fleet

OWNED = "src/auth/login.py"


@pytest.fixture
def fleet(user: Path, tmp_path: Path) -> Fleet:
    """A fleet without hooks, in which ada owns src/auth; its path has a space and a quote in it."""
    directory = tmp_path / "it's here"
    directory.mkdir()
    made = Fleet(directory)
    made.own(made.ada, "path:src/auth/**")
    return made


def hook(path: Path, text: str) -> None:
    """An executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def notes(fleet: Fleet) -> list[str]:
    """What hooks of others noted, and forget it."""
    path = fleet.directory / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def noting(fleet: Fleet, name: str) -> str:
    """A command of a hook that notes that it ran, with its arguments."""
    return f'echo "{name} $*" >> "{fleet.directory}/notes"'


def guarded(fleet: Fleet, where: Path) -> None:
    """A commit of what ada owns is refused there, and one of what is free is not."""
    fleet.edit(where)
    fleet.refused(where, "commit", "-m", "x")
    fleet.git(where, "reset", "--quiet", "--hard")
    fleet.edit(where, "src/shop.py")
    fleet.allowed(where, "commit", "-m", "x")


def test_install_status_uninstall(fleet: Fleet) -> None:
    """Exit code 0 where every worktree is guarded, else 1; doing it twice changes nothing; nothing is left behind."""
    directory = fleet.main / ".git/hooks"
    before = sorted(path.name for path in directory.iterdir())
    done = fleet.swarm(fleet.main, "guard", expect=1)
    lines = done.out.splitlines()
    assert (lines[0], lines[-1]) == ("not guarded", "`swarm guard install` guards every worktree.")
    assert fleet.swarm(fleet.bob, "guard", "install").out == f"guarded\nhooks   {directory}\n"
    texts = {name: (directory / name).read_text() for name in hooks.GUARDED}
    assert json.loads(fleet.swarm(fleet.ada, "guard", "install", "--json").out) == {
        "guarded": True,
        "hooks": [str(directory)],
        "missing": [],
        "others": [],
    }
    assert {name: (directory / name).read_text() for name in hooks.GUARDED} == texts
    guarded(fleet, fleet.bob)
    (directory / "pre-push").chmod(0o644)
    done = fleet.swarm(fleet.main, "guard", "status", expect=1)
    assert done.out.splitlines()[0] == "not fully guarded"
    assert done.out.splitlines()[-2] == f"missing {directory}/pre-push is not the guard's"
    assert fleet.swarm(fleet.main, "guard", "uninstall").out == "not guarded\n"
    assert sorted(path.name for path in directory.iterdir()) == before
    fleet.edit(fleet.bob)
    fleet.allowed(fleet.bob, "commit", "-m", "x")


def test_outside_a_repository_there_is_nothing_to_guard(fleet: Fleet, tmp_path: Path) -> None:
    """Exit code 2."""
    done = fleet.swarm(tmp_path, "guard", "install", expect=2)
    assert done.err == "swarm: not inside a git repository: there are no commits to guard.\n"


def test_a_hook_is_named_where_one_is_meant(fleet: Fleet) -> None:
    """`hook` alone, a hook that is none of ours, and a hook behind another word are exit code 2."""
    for arguments in (["hook"], ["hook", "post-commit"], ["install", "pre-push"], ["hook", "pre-commit", "--x"]):
        fleet.swarm(fleet.main, "guard", *arguments, expect=2)
    assert not (fleet.main / ".git/hooks/pre-push").exists()


def test_hooks_that_were_there_run_first_and_decide_too(fleet: Fleet) -> None:
    """With their arguments and input; where one refuses, git stops as before; uninstall puts them back as they were."""
    directory = fleet.main / ".git/hooks"
    hook(directory / "pre-commit", noting(fleet, "theirs"))
    hook(fleet.main / "scripts/push", f'cat >> "{fleet.directory}/notes"; {noting(fleet, "push")}')
    (directory / "pre-push").symlink_to("../../scripts/push")
    (directory / "pre-merge-commit").write_text("not executable, so git never ran it\n")
    done = fleet.swarm(fleet.main, "guard", "install")
    assert done.out.splitlines()[2:] == [f"first   {directory}/{name}.before-swarm" for name in hooks.GUARDED]
    fleet.swarm(fleet.main, "guard", "install")
    guarded(fleet, fleet.bob)
    assert notes(fleet) == ["theirs ", "theirs "]
    fleet.git(fleet.directory, "init", "--quiet", "--bare", "remote")
    remote = str(fleet.directory / "remote")
    fleet.allowed(fleet.bob, "push", "--quiet", remote, "bob", "main")
    bob, main, zeros = fleet.head(fleet.bob), fleet.head(fleet.main), "0" * 40
    assert notes(fleet) == [
        f"refs/heads/bob {bob} refs/heads/bob {zeros}",
        f"refs/heads/main {main} refs/heads/main {zeros}",
        f"push {remote} {remote}",
    ]
    fleet.git(fleet.bob, "merge", "--quiet", "--no-ff", "--no-edit", "main")
    hook(directory / "pre-commit.before-swarm", f"{noting(fleet, 'no')}; exit 3")
    fleet.edit(fleet.bob, "src/shop.py")
    assert fleet.git(fleet.bob, "commit", "-m", "x", expect=1).err == ""
    assert notes(fleet) == ["no "]
    fleet.swarm(fleet.main, "guard", "uninstall")
    assert (directory / "pre-commit").read_text().endswith("exit 3\n")
    assert os.readlink(directory / "pre-push") == "../../scripts/push"
    assert (directory / "pre-merge-commit").read_text() == "not executable, so git never ran it\n"
    assert not list(directory.glob("*swarm*"))


def test_a_hook_that_stages_files_is_checked_after_it(fleet: Fleet) -> None:
    """Formatters add to the commit; what they added is looked at."""
    hook(fleet.main / ".git/hooks/pre-commit", f"echo formatted >> {OWNED}; git add {OWNED}")
    fleet.swarm(fleet.main, "guard", "install")
    fleet.edit(fleet.bob, "src/shop.py")
    fleet.refused(fleet.bob, "commit", "-m", "x")


def test_a_push_hook_that_does_not_read_changes_nothing(fleet: Fleet) -> None:
    """Neither does a push of nothing."""
    hook(fleet.main / ".git/hooks/pre-push", "exit 0")
    fleet.swarm(fleet.main, "guard", "install")
    fleet.git(fleet.directory, "init", "--quiet", "--bare", "remote")
    remote = str(fleet.directory / "remote")
    fleet.allowed(fleet.bob, "push", "--quiet", remote, "main")
    fleet.allowed(fleet.bob, "push", "--quiet", remote, "main")


@pytest.mark.parametrize("where", ["relative", "absolute", "global", "worktree", "off"])
def test_core_hookspath_is_respected(fleet: Fleet, user: Path, where: str) -> None:
    """Its hooks all run, its files are not touched, every worktree is guarded, and uninstall gives it back."""
    theirs = fleet.directory / "hooks" if where in ("absolute", "global") else fleet.bob / ".githooks"
    for name in ("pre-commit", "commit-msg", "post-commit"):
        hook(theirs / name, noting(fleet, name))
    value = {"relative": ".githooks", "worktree": ".githooks", "off": "/dev/null"}.get(where, str(theirs))
    scope = {"global": "--global", "worktree": "--worktree"}.get(where, "--local")
    fleet.git(fleet.bob, "config", "extensions.worktreeConfig", "true")
    fleet.git(fleet.bob, "config", scope, "core.hooksPath", value)
    texts = {path.name: path.read_bytes() for path in theirs.iterdir()}
    done = fleet.swarm(fleet.ada, "guard", "install")
    assert f"hooks   {fleet.main}/.git/swarm-hooks\nfirst   {value}\n" in done.out or where == "worktree"
    fleet.swarm(fleet.bob, "guard", "install")
    fleet.swarm(fleet.bob, "guard", "status")
    guarded(fleet, fleet.bob)
    message = str(fleet.main / ".git/worktrees/bob/COMMIT_EDITMSG")
    ran = ["pre-commit ", "pre-commit ", f"commit-msg {message}", "post-commit "]
    assert notes(fleet) == ([] if where == "off" else ran)
    guarded(fleet, fleet.main)
    notes(fleet)
    assert {path.name: path.read_bytes() for path in theirs.iterdir()} == texts
    assert fleet.git(fleet.bob, "status", "--porcelain").out in ("", "?? .githooks/\n")
    fleet.swarm(fleet.bob, "guard", "uninstall")
    assert fleet.git(fleet.bob, "config", "core.hooksPath").out == f"{value}\n"
    assert fleet.git(fleet.main, "config", "core.hooksPath", expect=None).out == (
        "" if where == "worktree" else f"{value}\n"
    )
    assert not (fleet.main / ".git/swarm-hooks").exists()
    settings = fleet.git(fleet.bob, "config", "--list").out
    assert "swarm.hookspath" not in settings
    fleet.edit(fleet.bob)
    fleet.allowed(fleet.bob, "commit", "-m", "x")


def test_a_costly_hook_of_core_hookspath_runs_if_it_is_there(fleet: Fleet) -> None:
    """reference-transaction, which git runs at each move of a ref, is passed on only where there is one."""
    fleet.git(fleet.main, "config", "core.hooksPath", str(fleet.directory / "hooks"))
    fleet.swarm(fleet.main, "guard", "install")
    assert not (fleet.main / ".git/swarm-hooks/reference-transaction").exists()
    hook(fleet.directory / "hooks/reference-transaction", noting(fleet, "moved"))
    fleet.swarm(fleet.main, "guard", "install")
    fleet.git(fleet.main, "update-ref", "refs/heads/x", "HEAD")
    assert notes(fleet) == ["moved prepared", "moved committed"]


def test_another_tool_that_takes_core_hookspath_is_reported(fleet: Fleet) -> None:
    """status says so, exit code 1; uninstall leaves that tool's setting; install guards again."""
    fleet.git(fleet.main, "config", "core.hooksPath", "first")
    fleet.swarm(fleet.main, "guard", "install")
    fleet.git(fleet.main, "config", "core.hooksPath", "second")
    done = fleet.swarm(fleet.main, "guard", expect=1)
    said = f"missing core.hooksPath is second (local configuration of {fleet.main}/.git)"
    assert done.out.splitlines()[:2] == ["not guarded", said]
    fleet.swarm(fleet.main, "guard", "uninstall")
    assert fleet.git(fleet.main, "config", "core.hooksPath").out == "second\n"
    fleet.swarm(fleet.main, "guard", "install")
    guarded(fleet, fleet.bob)


def test_a_tool_that_puts_our_hook_aside_and_runs_it_keeps_the_guard(fleet: Fleet) -> None:
    """As pre-commit does when it is installed later; the hook that we run before ours still runs."""
    directory = fleet.main / ".git/hooks"
    hook(directory / "pre-commit", noting(fleet, "first"))
    fleet.swarm(fleet.main, "guard", "install")
    (directory / "pre-commit").rename(directory / "pre-commit.legacy")
    hook(directory / "pre-commit", f'{noting(fleet, "later")}; exec "$(dirname "$0")/pre-commit.legacy" "$@"')
    assert fleet.swarm(fleet.main, "guard", "install").out.startswith("guarded\n")
    guarded(fleet, fleet.bob)
    assert notes(fleet) == ["later ", "first "] * 2
    fleet.swarm(fleet.main, "guard", "uninstall")
    assert "first" in (directory / "pre-commit.legacy").read_text()
    assert "later" in (directory / "pre-commit").read_text()


def test_pre_commit_may_be_installed_before_and_after(fleet: Fleet) -> None:
    """The hook tool of that name, twice around the guard: its hooks run once a commit, and the guard's too."""
    fleet.write(
        fleet.main,
        ".pre-commit-config.yaml",
        "repos:\n- repo: local\n  hooks:\n  - {id: note, name: note, language: system, always_run: true, "
        "pass_filenames: false, entry: sh -c 'echo ran >> \"$NOTES\"'}\n",
    )
    fleet.git(fleet.main, "add", ".pre-commit-config.yaml")
    fleet.git(fleet.main, "commit", "--quiet", "-m", "hooks")
    fleet.git(fleet.bob, "merge", "--quiet", "main")
    cache = {"PRE_COMMIT_HOME": str(fleet.directory / "cache"), "NOTES": str(fleet.directory / "notes")}
    for step in ("pre-commit", "guard", "pre-commit", "guard"):
        if step == "guard":
            assert fleet.swarm(fleet.main, "guard", "install").out.startswith("guarded\n")
        else:
            command = [sys.executable, "-m", "pre_commit", "install"]
            subprocess.run(command, cwd=fleet.main, env={**os.environ, **cache}, check=True, capture_output=True)
        fleet.edit(fleet.bob, "src/shop.py")
        fleet.git(fleet.bob, "commit", "-m", step, **cache)
        assert notes(fleet) == ["ran"]
    fleet.edit(fleet.bob)
    fleet.refused(fleet.bob, "commit", "-m", "x", **cache)
    fleet.swarm(fleet.main, "guard", "uninstall")
    notes(fleet)
    fleet.git(fleet.bob, "commit", "-m", "x", **cache)
    assert notes(fleet) == ["ran"]


def test_nothing_that_was_put_aside_is_overwritten(fleet: Fleet) -> None:
    """Where a hook is in our place and another is put aside, install names both and changes neither."""
    directory = fleet.main / ".git/hooks"
    hook(directory / "pre-commit", "echo one")
    fleet.swarm(fleet.main, "guard", "install")
    hook(directory / "pre-commit", "echo two")
    done = fleet.swarm(fleet.main, "guard", "install", expect=4)
    assert f"{directory}/pre-commit is not the guard's, and {directory}/pre-commit.before-swarm" in done.err
    assert "two" in (directory / "pre-commit").read_text()
    assert "one" in (directory / "pre-commit.before-swarm").read_text()


def test_many_install_at_once(fleet: Fleet) -> None:
    """What was there is put aside once, by one of them."""
    directory = fleet.main / ".git/hooks"
    hook(directory / "pre-commit", noting(fleet, "theirs"))
    command = [sys.executable, "-m", "swarm", "guard", "install"]
    started = [subprocess.Popen(command, cwd=fleet.main, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [one.wait() for one in started] == [0, 0, 0, 0]
    assert "theirs" in (directory / "pre-commit.before-swarm").read_text()
    guarded(fleet, fleet.bob)
    assert notes(fleet) == ["theirs ", "theirs "]


def test_a_ledger_kept_elsewhere_is_asked_by_the_hooks(user: Path, tmp_path: Path) -> None:
    """SWARM_HOME at the time of installing is remembered, for processes that are started without it."""
    home = {"SWARM_HOME": str(tmp_path / "home of leases")}
    fleet = Fleet(tmp_path, **home)
    fleet.own(fleet.ada, "path:src/auth/**", home=home["SWARM_HOME"])
    fleet.swarm(fleet.main, "guard", "install", **home)
    guarded(fleet, fleet.bob)


def test_install_says_when_git_would_not_run_the_hooks(fleet: Fleet) -> None:
    """A core.hooksPath that an included file sets last wins over ours."""
    included = fleet.directory / "included"
    included.write_text("[core]\n\thooksPath = elsewhere\n")
    place = find(str(fleet.main))
    assert place
    fleet.git(fleet.main, "config", "core.hooksPath", "x")
    with open(fleet.main / ".git/config", "a") as file:
        file.write(f"[include]\n\tpath = {included}\n")
    with pytest.raises(Refused, match=r"git would not run them: core\.hooksPath is elsewhere"):
        hooks.install(place, ["/bin/true"], os.environ)
