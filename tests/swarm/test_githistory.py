"""A real repository's history as a ledger, and what agents ask of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swarm import Filters, Swarm
from swarm.githistory import import_git_history, read_commits
from swarm_ledger.errors import BadInput


class Project:
    """A repository in which commits are made at stated times."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main", "--", ".", at="")

    def git(self, *arguments: str, at: str, author: str = "Ada") -> str:
        """Run git as `author` at `at`."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": author,
            "GIT_COMMITTER_EMAIL": "a@example.org",
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_DATE": at,
        }
        done = subprocess.run(["git", *arguments], cwd=self.root, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str, at: str, author: str, **files: str) -> str:
        """Write `files` (__ is a slash, _DOT_ a dot) and commit them."""
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all", at=at)
        self.git("commit", "--quiet", "--message", message, at=at, author=author)
        return self.git("rev-parse", "HEAD", at=at)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    """Three days of two authors."""
    made = Project(tmp_path_factory.mktemp("project"))
    code = "def session():\n" + "".join(f"    step({n})\n" for n in range(30))
    ids = {
        "begin": made.commit(
            "Sessions expire after 15 minutes", "2026-11-18T09:00:00Z", "Ada", src__session_DOT_py=code
        ),
        "retry": made.commit(
            "Retry policy: ten times, with jitter\n\nThe gateway drops one call of a hundred.",
            "2026-11-19T10:00:00Z",
            "Bob",
            src__retry_DOT_py="TRIES = 10\n",
        ),
        "failed": made.commit("The nightly build failed: pin the parser", "2026-11-20T15:00:00Z", "Ada", pins="a"),
        "failed_early": made.commit("The lint job failed on main", "2026-11-20T09:00:00Z", "Bob", lint="a"),
    }
    (made.root / "src/auth").mkdir()
    made.git("mv", "src/session.py", "src/auth/session.py", at="")
    ids["moved"] = made.commit("Sessions belong to auth", "2026-11-20T18:00:00Z", "Bob")
    ids["policy"] = made.commit(
        "Retry policy: three times, since ten hid an outage (#12)",
        "2026-11-21T08:00:00Z",
        "Ada",
        src__retry_DOT_py="3\n",
    )
    return made, ids


@pytest.fixture
def swarm(project: tuple[Project, dict[str, str]], tmp_path: Path) -> Swarm:
    """A ledger with that history."""
    (tmp_path / "work").mkdir()
    swarm = Swarm.init(str(tmp_path / "work"))
    import_git_history(swarm, str(project[0].root))
    return swarm


def test_commits_are_read_with_files_and_renames(project: tuple[Project, dict[str, str]]) -> None:
    """Oldest first, with author, time and whole message."""
    commits = read_commits(str(project[0].root))
    assert [commit.id for commit in commits][:2] == [project[1]["begin"], project[1]["retry"]]
    retry = next(commit for commit in commits if commit.id == project[1]["retry"])
    assert (retry.author, retry.at, retry.files) == ("Bob", "2026-11-19T10:00:00Z", ("src/retry.py",))
    assert retry.message.startswith("Retry policy: ten times, with jitter\n\nThe gateway")
    moved = next(commit for commit in commits if commit.id == project[1]["moved"])
    assert moved.renamed == (("src/session.py", "src/auth/session.py"),)


def test_an_import_can_be_repeated(swarm: Swarm, project: tuple[Project, dict[str, str]]) -> None:
    """Nothing is written twice."""
    again = import_git_history(swarm, str(project[0].root))
    assert (again.written, again.skipped) == (0, 6)


def test_what_is_no_repository_is_refused(swarm: Swarm, tmp_path: Path) -> None:
    """With what to give instead."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="Give the path of a git repository"):
        import_git_history(swarm, str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["src/auth/session.py", "src/session.py", "file:src/session.py"])
def test_what_was_learned_about_a_file_follows_its_rename(
    swarm: Swarm, project: tuple[Project, dict[str, str]], name: str
) -> None:
    """By either path, the commits before the rename and after it, and a note that only mentions the path."""
    agent = swarm.join("eve")
    note = agent.log("beware: src/auth/session.py is imported twice")
    hits = swarm.reader().recall("", Filters(entity=name, kind="log"))
    refs = {hit.ref or hit.id for hit in hits}
    assert {project[1]["begin"], project[1]["moved"]} <= refs
    assert (note.id in refs) == (name == "src/auth/session.py")


def test_what_failed_at_a_time_is_found(swarm: Swarm, project: tuple[Project, dict[str, str]]) -> None:
    """Of two failures of one day, the one between the hours of the question comes first."""
    question = "what failed on 2026-11-20 between 14:00 and 16:00?"
    assert swarm.reader().recall(question)[0].ref == project[1]["failed"]


def test_who_touched_a_thing_last_is_found(swarm: Swarm, project: tuple[Project, dict[str, str]]) -> None:
    """The newest of the entries about it says who and why."""
    hits = swarm.reader().recall("", Filters(entity="src/retry.py", kind="log"), k=1)
    assert [(hit.ref, hit.by) for hit in hits] == [(project[1]["policy"], "ada")]
    assert "ten hid an outage" in hits[0].snippet


def test_an_issue_is_an_entity(swarm: Swarm, project: tuple[Project, dict[str, str]]) -> None:
    """A commit that mentions #12 is filed under it."""
    assert [hit.ref for hit in swarm.index.search("", Filters(entity="#12"))] == [project[1]["policy"]]


def test_the_page_of_a_file_is_named_by_its_path(swarm: Swarm) -> None:
    """As people write it; the one of a renamed file by the path of now."""
    pages = {hit.title for hit in swarm.index.search("", Filters(kind="entity"), k=100)}
    assert {"src/retry.py", "src/auth/session.py"} <= pages
    assert "src/session.py" not in pages
