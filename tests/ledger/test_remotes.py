"""Which remote is meant, how it is reached, and what is no remote."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.git import environment
from swarm_ledger.remotes import find_remote


def run_git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], env=environment(), check=True)


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A repository without remotes; its git directory."""
    run_git("init", "--quiet", str(tmp_path / "code"))
    return str(tmp_path / "code" / ".git")


def test_origin_is_the_default(repository: str) -> None:
    """Also where there are others, and with its own URL for pushing."""
    for name, url in (("backup", "ssh://b/x"), ("origin", "https://me:pw@a/x")):
        run_git(f"--git-dir={repository}", "remote", "add", name, url)
    run_git(f"--git-dir={repository}", "config", "remote.origin.pushurl", "git@a:x")
    found = find_remote(repository, None, "/")
    assert (found.name, found.url, found.push_url) == ("origin", "https://me:pw@a/x", "git@a:x")
    assert found.shown == "origin (https://a/x)"


def test_the_only_remote_is_the_default(repository: str) -> None:
    """Whatever it is called; a relative path counts from the repository."""
    run_git(f"--git-dir={repository}", "remote", "add", "backup", "../elsewhere.git")
    found = find_remote(repository, None, "/")
    assert (found.name, found.url) == ("backup", os.path.abspath(f"{repository}/../../elsewhere.git"))


def test_several_remotes_are_listed(repository: str) -> None:
    """None of them is origin."""
    for name in ("one", "two"):
        run_git(f"--git-dir={repository}", "remote", "add", name, f"ssh://{name}/x")
    with pytest.raises(NotFound, match="name one of one, two"):
        find_remote(repository, None, "/")


def test_no_remote_says_how_to_add_one(repository: str) -> None:
    """Or a URL can be given."""
    with pytest.raises(NotFound, match="git remote add origin URL"):
        find_remote(repository, None, "/")
    with pytest.raises(NotFound, match="'nowhere' is neither a remote, nor a URL"):
        find_remote(repository, "nowhere", "/")


def test_settings_that_reach_a_remote_are_used(repository: str) -> None:
    """Credentials and proxies of the repository are passed on, other settings are not."""
    run_git(f"--git-dir={repository}", "config", "http.https://a/.extraheader", "Authorization: x")
    run_git(f"--git-dir={repository}", "config", "core.hooksPath", "/evil")
    settings = dict(find_remote(repository, "https://a/x", "/").settings)
    assert settings == {"http.https://a/.extraheader": "Authorization: x"}


@pytest.mark.parametrize(
    "given",
    [
        *("ext::sh -c touch% pwned", "fd::17", "foo::bar/baz", "--upload-pack=touch pwned/x", "-x/y"),
        *("ftp://a/b", "ssh://a/b\nc", "javascript://a", "/a\0b"),
    ],
)
def test_what_runs_commands_or_reads_as_an_option_is_refused(repository: str, given: str) -> None:
    """Whatever an agent gives as a remote."""
    with pytest.raises(BadInput):
        find_remote(repository, given, "/")


def test_a_configured_remote_is_no_way_around(repository: str) -> None:
    """Its URL is looked at too."""
    run_git(f"--git-dir={repository}", "config", "remote.origin.url", "ext::sh -c true")
    with pytest.raises(BadInput, match="of a kind that is not used to sync"):
        find_remote(repository, None, "/")
