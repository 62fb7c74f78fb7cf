"""The demonstration: real processes on a clone of a repository, and what a recount from a fresh clone says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarm import Swarm, demo
from swarm.demo.recount import Ack, fsck, recount
from swarm_ledger.errors import BadInput
from swarm_ledger.store import Append, Request

TALKS = [
    {
        "sample_id": name,
        "conversation": {
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ada", "dia_id": "D1:1", "text": f"My {animal} sleeps on the piano."},
                {"speaker": "Bob", "dia_id": "D1:2", "text": "Mine will only eat porridge."},
                {"speaker": "Ada", "dia_id": "D1:3", "text": "We should build a fence together."},
            ],
        },
        "qa": [
            {"question": f"Where does the {animal} sleep?", "evidence": ["D1:1"], "category": 4},
            {"question": "Who eats porridge?", "evidence": ["D1:2"], "category": 1},
            {"question": "What about a submarine?", "evidence": ["D1:3"], "category": 5},
        ],
    }
    for name, animal in (("talk-a", "cat"), ("talk-b", "goat"))
]


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, check=True)
    return done.stdout.decode()


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small repository, with names and contents that nobody should trip over."""
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / "src" / "pärser: one 1-2.py").write_text("".join(f"def rule_{n}(): return {n}\n" for n in range(30)))
    (root / "swarm.py").write_text("raise SystemExit('imported by accident')\n" * 9)
    (root / "-notes.txt").write_text("first\n\n\nthe end of the notes, at last\n" * 3)
    (root / "hosts.txt").write_text("fetch https://ada:hunter2x@example.invalid/\n" * 30 + "fetch nothing at all\n")
    (root / "picture.bin").write_bytes(bytes(range(256)) * 9)
    (root / "away").symlink_to("/etc/passwd")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "begin")
    return root


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demonstration makes its directories."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def test_every_acknowledged_write_is_in_a_fresh_clone(project: Path, temporary: Path) -> None:
    """Three processes, eight writes each, and the one shared page: nothing lost, doubled or refused."""
    done = demo.run(str(project), processes=3, writes=8, seed=1)
    did = done.data["did"]
    assert isinstance(did, dict)
    assert did["log"] + did["remember"] + did["edit"] == 24
    assert done.data["acknowledged"] == 24 + 2  # the pages of `root` and `src`
    assert [done.data[name] for name in ("lost", "duplicated", "refused", "fsck")] == [0, 0, 0, "clean"]
    assert done.good
    assert "sha256: " in str(done.data["entry"])
    assert "facts/" in done.text
    assert "git fsck" in done.text


def test_nothing_is_written_outside_the_temporary_directory_and_that_is_removed(project: Path, temporary: Path) -> None:
    """The repository that it is shown on stays byte for byte as it was."""
    before = everything(project)
    demo.run(str(project), processes=2, writes=2)
    assert everything(project) == before
    assert list(temporary.iterdir()) == []


def test_keep_leaves_the_worktrees_and_the_ledger(project: Path, temporary: Path) -> None:
    """The report says where they are."""
    done = demo.run(str(project), processes=2, writes=2, keep=True)
    (kept,) = temporary.iterdir()
    assert done.data["kept"] == str(kept)
    assert sorted(path.name for path in (kept / "worktrees").iterdir()) == ["agent-01", "agent-02"]
    with Swarm.open(str(kept / "worktrees" / "agent-02")) as swarm:
        assert swarm.status().entries["entity"] == 2


def test_its_own_worktree_is_where_each_process_works(project: Path, temporary: Path) -> None:
    """Each agent joined from a directory of its own."""
    demo.run(str(project), processes=3, writes=1, keep=True)
    (kept,) = temporary.iterdir()
    with Swarm.open(str(kept / "repository")) as swarm:
        found = {member.name: os.path.basename(member.directory) for member in swarm.sessions.members()}
    assert {name: found[name] for name in found if name != "host"} == {
        "agent-01": "agent-01",
        "agent-02": "agent-02",
        "agent-03": "agent-03",
    }


def test_conversations_are_loaded_one_ledger_each_and_their_questions_asked(tmp_path: Path, temporary: Path) -> None:
    """Six turns by three processes; questions of category 5 are not asked."""
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(TALKS))
    done = demo.run_conversations(str(path), processes=3)
    assert done.data["acknowledged"] == 6
    assert [done.data[name] for name in ("lost", "duplicated", "refused", "fsck")] == [0, 0, 0, "clean"]
    assert done.data["turns"] == {"talk-a": 3, "talk-b": 3}
    perfect = {"recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0}
    assert done.data["recall"] == {
        "talk-a": {"questions": 2, **perfect},
        "talk-b": {"questions": 2, **perfect},
        "all": {"questions": 4, **perfect},
    }
    assert list(temporary.iterdir()) == []


def test_more_processes_than_turns_is_no_matter(tmp_path: Path, temporary: Path) -> None:
    """Some have nothing to load."""
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(TALKS[:1]))
    assert demo.run_conversations(str(path), processes=5).data["acknowledged"] == 3


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process_and_removes_everything(
    project: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    """Ctrl-C or `kill` in the middle of the work: exit code 130, no process and no file left."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "swarm", "demo", str(project), "--processes", "3", "--seconds", "60"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell ignores in the background
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in temporary.glob("*/processes/*.acks")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(kind)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in said
    assert list(temporary.iterdir()) == []
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout.decode()
    assert str(temporary) not in listed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "--processes: 0 is not from 1 to 256."),
        ({"processes": 257}, "--processes: 257 is not from 1 to 256."),
        ({"seconds": 1.0, "writes": 1}, "give --seconds or --writes, not both."),
        ({"seconds": float("nan")}, "--seconds: nan is not a time from above 0 to 86400."),
        ({"writes": 0}, "--writes: 0 is not a number of writes from 1 on."),
    ],
)
def test_impossible_numbers_are_refused(project: Path, options: dict[str, int], message: str) -> None:
    """Before anything is cloned."""
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        demo.run(str(project), **options)  # type: ignore[arg-type]


def test_what_is_no_repository_is_refused_in_one_line(tmp_path: Path, temporary: Path) -> None:
    """A directory without one, one without a commit, a path that is not there."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadInput, match="empty' is not inside a git repository"):
        demo.run(str(empty))
    with pytest.raises(BadInput, match="absent' is not inside a git repository"):
        demo.run(str(tmp_path / "absent"))
    git(empty, "init", "--quiet")
    with pytest.raises(BadInput, match="has no commit yet"):
        demo.run(str(empty))
    assert list(temporary.iterdir()) == []


def test_a_recount_tells_what_is_lost_and_what_is_there_twice(tmp_path: Path) -> None:
    """Held against acknowledgements that are true, false, and of a log entry that was written twice."""
    root = tmp_path / "repository"
    root.mkdir()
    with Swarm.init(str(root)) as swarm:
        agent = swarm.join("ada")
        fact = agent.remember("Tokens expire")
        note = agent.log("hello")
        page = agent.remember("Tokens", "Notes.\n\n", kind="entity", type="topic")
        edit = agent.edit(page.id, body="Notes.\n\n- one\n")
        text = swarm.store.read(note.path)
        assert text is not None
        section = text.text[text.text.index(b"## ") :]
        again = Append(note.id, note.path[: -len("0000.md")], b"", section)
        swarm.store.submit(Request("again", "ada", "s", 1, "again", (again,)))
    true = [
        Ack(fact.id, fact.path, fact.version, str(fact.commit)),
        Ack(edit.id, edit.path, edit.version, str(edit.commit), "- one"),
    ]
    false = [
        Ack("fact-1", fact.path, "0" * 40, str(fact.commit)),
        Ack("fact-2", fact.path, fact.version, "1" * 40),
        Ack("edit-3", edit.path, edit.version, str(edit.commit), "- two"),
        Ack("log-261121-00000000", note.path, None, str(note.commit)),
    ]
    double = Ack(note.id, note.path, None, str(note.commit))
    found = recount(f"{root}/.git/swarm/ledger.git", f"{tmp_path}/clone.git", [*true, *false, double])
    assert (found.acknowledged, found.commits) == (7, 6)
    assert [text.partition(" ")[0] for text in found.lost] == ["fact-1", "fact-2", "edit-3", "log-261121-00000000"]
    assert [text.partition(" ")[0] for text in found.duplicated] == [note.id]
    assert fsck(f"{root}/.git/swarm/ledger.git") == "clean"


def test_fsck_says_what_is_missing(tmp_path: Path) -> None:
    """A ledger without its packs is not clean."""
    root = tmp_path / "repository"
    root.mkdir()
    with Swarm.init(str(root)) as swarm:
        swarm.join("ada").log("hello")
    for pack in (root / ".git/swarm/ledger.git/objects/pack").glob("*.pack"):
        pack.unlink()
    assert "refs/heads/swarm-ledger: invalid sha1 pointer" in fsck(f"{root}/.git/swarm/ledger.git")
