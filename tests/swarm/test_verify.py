"""Evidence judged against branches of a real repository, and what readers are told of it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from swarm import Agent, Swarm, codetree, judge
from swarm.anchor import Anchor
from swarm.check import Finding
from swarm.cli.check import _summary
from swarm.verdicts import Evidence, Verdict
from swarm_ledger.store import Put

from .conftest import Ran, git

Run = Callable[..., Ran]

CODE = "def login():\n    return True\n\n\ndef logout():\n    return False\n"


def fact(run: Run, *options: str, title: str = "Logging out is never refused") -> str:
    """A fact that ada recorded."""
    done = run("--as", "ada", "remember", title, *options)
    assert done.code == 0, done.err
    return done.id


def commit(repository: Path, **files: str | None) -> None:
    """Commit these contents; None removes."""
    for name, text in files.items():
        path = repository / name.replace("__", "/").replace("_py", ".py")
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "-m", "change")


def said(repository: Path, ref: str | None = None) -> list[tuple[str, str, int, int]]:
    """Verdict and place of each citation."""
    with Swarm.open(str(repository)) as swarm:
        evidence = Evidence(swarm, ref)
        try:
            return [(one.verdict, one.path, one.first, one.last) for one in evidence.verdicts()]
        finally:
            evidence.close()


def test_each_branch_has_its_own_verdict(repository: Path, run: Run) -> None:
    """Fresh on one, moved on another, gone on a third; the worktree's own by default."""
    fact(run, "--cite", "auth.py:5-6")
    git(repository, "checkout", "--quiet", "-b", "moved")
    commit(repository, auth_py="import os\n" + CODE)
    git(repository, "checkout", "--quiet", "-b", "gone")
    commit(repository, auth_py=None)
    assert said(repository) == [("gone", "", 0, 0)]
    assert said(repository, "moved") == [("moved", "auth.py", 6, 7)]
    assert said(repository, "main") == [("fresh", "auth.py", 5, 6)]


def test_verdicts_come_from_the_cache_and_follow_the_tree(repository: Path, run: Run) -> None:
    """The same answer the second time, another after a commit, and the first one back on the old tree."""
    fact(run, "--cite", "auth.py:5-6")
    for text, verdict in ((CODE, "fresh"), ("x = 1\n" + CODE, "moved"), (CODE, "fresh")):
        if (repository / "auth.py").read_text() != text:
            commit(repository, auth_py=text)
        assert [one[0] for one in said(repository) + said(repository)] == [verdict] * 2
    assert os.path.exists(repository / ".git/swarm/index/evidence.db")
    os.unlink(repository / ".git/swarm/index/evidence.db")
    assert said(repository) == [("fresh", "auth.py", 5, 6)]


def test_what_moved_is_judged_again_only_where_its_text_may_be_changed(
    repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that touches other files costs nothing for it; one with another copy does."""
    judged: list[str] = []
    really = judge.judge

    def counted(anchor: Anchor, *rest: Any) -> judge.Judgement:
        judged.append(anchor.path)
        return really(anchor, *rest)

    monkeypatch.setattr(judge, "judge", counted)
    fact(run, "--cite", "auth.py:5-6")
    commit(repository, auth_py="import os\n" + CODE)
    assert said(repository) == [("moved", "auth.py", 6, 7)]
    commit(repository, other_py="x = 1\n")
    assert said(repository) == [("moved", "auth.py", 6, 7)]
    commit(repository, auth_py=None, copy_py="import os\n" + CODE)
    assert said(repository) == [("moved", "copy.py", 6, 7)]
    commit(repository, other_py="x = 2\n")
    assert said(repository) == [("moved", "copy.py", 6, 7)]
    assert judged == ["auth.py"] * 2


def test_verify_says_what_changed_and_exits_with_1(repository: Path, run: Run) -> None:
    """With where it is now and a short difference."""
    id = fact(run, "--cite", "auth.py:5-6")
    assert run("verify").out == "1 citation: 1 fresh.\n"
    commit(repository, auth_py="# auth\n" + CODE.replace("False", "True"))
    done = run("verify")
    assert done.code == 1
    assert done.out == (
        f"{id}  auth.py:5-6  changed, now auth.py:6-7 (its lines are different now)\n"
        "    -    return False\n    +    return True\n1 citation: 1 changed.\n"
    )
    found = json.loads(run("verify", "--json", id).out)
    assert (found["fact"], found["verdict"], found["difference"]) == (
        *(id, "changed"),
        ["-    return False", "+    return True"],
    )
    assert run("verify", "fact-261121-00000000").code == 2


def test_fix_records_where_moved_citations_are_as_a_new_version(repository: Path, run: Run) -> None:
    """In the name of whoever does it; a second time there is nothing to do."""
    id = fact(run, "--cite", "auth.py:5-6", "--cite", "auth.py:1-2")
    commit(repository, auth_py=None, lib__login_py="import os\n" + CODE)
    done = run("--as", "bob", "verify", "--fix")
    assert done.code == 0
    assert f"{id} re-anchored in commit" in done.out
    shown = json.loads(run("show", id, "--json").out)
    assert [(one["path"], one["lines"]) for one in shown["fields"]["citations"]] == [
        ("lib/login.py", [6, 7]),
        ("lib/login.py", [2, 3]),
    ]
    assert (shown["fields"]["rev"], shown["standing"]["evidence"]) == (2, "fresh")
    assert "re-anchored" not in run("--as", "bob", "verify", "--fix").out


def test_fix_leaves_what_another_owns_and_mends_the_rest(repository: Path, run: Run) -> None:
    """Exit code 3 and the owner's name; what could be written is."""
    hers = fact(run, "--cite", "auth.py:5-6", title="one")
    others = [fact(run, "--cite", "auth.py:5-6", title=title) for title in ("two", "three")]
    assert run("--as", "bob", "own", hers).code == 0
    commit(repository, auth_py="import os\n" + CODE)
    done = run("--as", "ada", "verify", "--fix")
    assert (done.code, f"{hers} was not re-anchored: {hers} is owned by bob" in done.err) == (3, True), done
    assert sorted(line.split()[0] for line in done.out.splitlines() if "re-anchored" in line) == sorted(others)
    assert done.out.splitlines()[-1] == "3 citations: 2 fresh, 1 moved."


def test_fix_by_two_at_once_is_done_by_either(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another recorded meanwhile is no hindrance, and nobody's draft is left."""
    id = fact(run, "--cite", "auth.py:5-6")
    commit(repository, auth_py="import os\n" + CODE)
    edit = Agent.edit

    def late(agent: Agent, *args: Any, **named: Any) -> Any:
        if agent.name == "bob":
            assert run("--as", "ada", "verify", "--fix").code == 0
        return edit(agent, *args, **named)

    monkeypatch.setattr(Agent, "edit", late)
    done = run("--as", "bob", "verify", id, "--fix")
    assert (done.code, done.out.splitlines()[-1], done.err) == (0, "1 citation: 1 fresh.", "")
    assert not list((repository / ".git/swarm/drafts").iterdir())


def test_what_is_cited_before_it_is_committed_is_looked_for_in_the_worktree(repository: Path, run: Run) -> None:
    """It is not called gone; on another branch it cannot be checked."""
    (repository / "new.py").write_text("x = 1\ny = 2\n")
    fact(run, "--cite", "new.py:1-2")
    assert said(repository) == [("fresh", "new.py", 1, 2)]
    assert said(repository, "main") == [("uncheckable", "", 0, 0)]
    commit(repository)
    assert said(repository, "main") == [("fresh", "new.py", 1, 2)]


def test_other_evidence(repository: Path, run: Run) -> None:
    """Entries at their version, log entries for ever; what is elsewhere is never fetched."""
    cited, line = fact(run, title="a"), run("--as", "ada", "log", "seen").id
    fact(run, "--cite", cited, "--cite", line, "--cite", "https://example.invalid/a", title="b")
    assert [one[0] for one in said(repository)] == ["fresh", "fresh", "uncheckable"]
    run("--as", "ada", "edit", cited, "--body", "more")
    assert [one[0] for one in said(repository)] == ["changed", "fresh", "uncheckable"]
    run("--as", "ada", "retract", cited, "--why", "wrong")
    assert [one[0] for one in said(repository)] == ["gone", "fresh", "uncheckable"]


def test_what_a_command_printed_is_evidence_and_compared_where_it_is_given(
    repository: Path, run: Run, tmp_path: Path
) -> None:
    """Digest and exit status are kept; nothing is run, whatever it is called."""
    output = tmp_path / "out put"
    output.write_bytes(b"3 passed\n\xff")
    command = f"touch {tmp_path}/ran; make test"
    id = fact(run, "--ran", command, "0", str(output))
    (cited,) = json.loads(run("show", id, "--json").out)["fields"]["citations"]
    digest = hashlib.sha256(b"3 passed\n\xff").hexdigest()
    assert cited == {"command": command, "exit": 0, "sha256": digest}
    assert f"{command}: uncheckable (a command is not run again" in run("show", id).out
    assert run("verify").code == 0
    assert run("verify", id, "--ran", command, "0", str(output)).out.splitlines()[-1] == "1 citation: 1 fresh."
    done = run("verify", id, "--ran", command, "2", str(output))
    assert (done.code, "changed (its exit status is 2 now)" in done.out) == (1, True)
    output.write_bytes(b"4 passed\n")
    assert "changed (it prints something else now)" in run("verify", id, "--ran", command, "0", str(output)).out
    assert not (tmp_path / "ran").exists()
    for wrong in (("x", "ok", str(output)), ("x", "0", "/none"), ("x", "0", str(tmp_path)), ("", "0", str(output))):
        assert run("--as", "ada", "remember", "Wrong", "--ran", *wrong).code == 2
    assert run("--as", "ada", "remember", "Twice", "--body", "-", "--ran", "x", "0", "-").code == 2


def test_show_and_recall_say_how_a_fact_stands(repository: Path, run: Run) -> None:
    """Only that evidence is unchanged, never that anything is true."""
    id = fact(run, "--cite", "auth.py:5-6")
    assert run("show", id).out.endswith("\nauth.py:5-6: fresh\n")
    assert "EVIDENCE" not in run("recall", "refused").out
    commit(repository, auth_py=CODE.replace("False", "None"))
    assert "auth.py:5-6: changed at auth.py:5-6 (its lines are different now)\n" in run("show", id).out
    assert "EVIDENCE CHANGED on this branch" in run("recall", "refused").out
    assert json.loads(run("recall", "refused", "--json").out)["standing"]["evidence"] == "changed"


def test_facts_with_one_key_contest_each_other_until_one_is_superseded(repository: Path, run: Run) -> None:
    """Where their times overlap; nothing is retired."""
    one = fact(run, "--key", "auth.limit", title="The limit is 3")
    two = fact(run, "--key", "auth.limit", title="The limit is 5")
    fact(run, "--key", "auth.other", title="The other is 5")
    assert f"CONTESTED by {two}" in run("recall", "limit", "-k", "5").out
    assert f"contested by {one}" in run("show", two).out
    run("--as", "ada", "supersede", one, "The limit was 3", "--set", "valid_to=2026-01-01T00:00:00Z")
    assert "CONTESTED" not in run("recall", "limit", "-k", "5").out


def verdict_of(repository: Path, ref: str | None = None) -> Verdict:
    with Swarm.open(str(repository)) as swarm:
        (found,) = Evidence(swarm, ref).verdicts()
        return found


def test_status_names_contested_facts_until_one_is_superseded(repository: Path, run: Run) -> None:
    """By key; of very many the first, and how many more there are."""
    first = fact(run, "--key", "session.ttl", title="Sessions live 15 minutes")
    fact(run, "--key", "other.ttl", title="Cookies live a day")
    assert json.loads(run("status", "--json").out)["contested"] == {}
    second = fact(run, "--key", "session.ttl", title="A session is over after 20 minutes")
    both = sorted([first, second])
    assert json.loads(run("status", "--json").out)["contested"] == {"session.ttl": both}
    assert f"contest  session.ttl: {both[0]}, {both[1]}; settle it by" in run("status").out
    for wrong in ((), ("A title", "--by", second), ("--by", first), ("--by", "entity-topic-x"), ("--by", "x")):
        assert run("--as", "ada", "supersede", first, *wrong).code == 2
    done = run("--as", "ada", "supersede", first, "--by", second)
    assert (done.code, done.out.startswith(f"{first} superseded by {second} in commit ")) == (0, True), done.err
    assert json.loads(run("status", "--json").out)["contested"] == {}
    assert f"superseded_by: {second}" in run("show", first).out
    run("--as", "ada", "show", second)
    assert run("--as", "ada", "supersede", second, "--by", first).code == 4
    assert run("check").code == 0
    for number in range(12):
        fact(run, "--key", f"k{number}.v", title=f"Value {number} is a")
        fact(run, "--key", f"k{number}.v", title=f"Another says {number}, b")
    assert "         and 2 more keys; `swarm check` names them\n" in run("status").out


def test_nobody_who_cites_waits_for_another_that_writes_the_index(repository: Path, run: Run) -> None:
    """What is found out about code is kept where it can be; verdicts are given all the same."""
    fact(run, "--cite", "auth.py:1-2", title="one")
    commit(repository, auth_py=CODE + "\n\ndef more():\n    return 3\n")
    with closing(sqlite3.connect(repository / ".git/swarm/index/evidence.db", isolation_level=None)) as db:
        assert run("verify").code == 0
        db.execute("BEGIN IMMEDIATE")
        commit(repository, other_py="x = 1\n")
        began = time.monotonic()
        fact(run, "--cite", "auth.py:9-10", title="There is more to it")
        assert run("log", "--as", "ada", "x").code == 0
        assert time.monotonic() - began < 3
        db.execute("ROLLBACK")
    assert run("verify").out == "2 citations: 2 fresh.\n"


@pytest.mark.parametrize("damage", ["DELETE FROM cited", "DELETE FROM fact", "UPDATE fact SET active = 0"])
def test_an_index_of_facts_that_differs_is_found_and_built_anew(repository: Path, run: Run, damage: str) -> None:
    """Else evidence would not be looked at, and nobody would know."""
    id = fact(run, "--cite", "auth.py:5-6")
    assert run("check").code == 0
    with closing(sqlite3.connect(repository / ".git/swarm/index/evidence.db")) as db, db:
        db.execute(damage)
    done = run("check")
    assert (done.code, f"does not have {id} as the ledger has it" in done.out) == (1, True)
    assert run("reindex").code == 0
    assert run("check").code == 0
    assert run("verify").out == "1 citation: 1 fresh.\n"


def test_a_file_that_can_not_be_looked_into(repository: Path, run: Run) -> None:
    """A submodule, a link, an LFS pointer, a binary or huge file: uncheckable, and said why."""
    fact(run, "--cite", "auth.py:5-6")
    head = git(repository, "rev-parse", "HEAD").strip()
    for text, why in (
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "it is a pointer of Git LFS"),
        ("a\0b\n", "it is binary"),
        ("x = 1\n" * 900_000, "it is too large"),
    ):
        commit(repository, auth_py=text)
        assert verdict_of(repository).verdict == "uncheckable"
        assert why in verdict_of(repository).why
    os.unlink(repository / "auth.py")
    os.symlink("elsewhere.py", repository / "auth.py")
    commit(repository)
    assert verdict_of(repository)[4:] == ("uncheckable", "", 0, 0, True, "it is a symbolic link now")
    git(repository, "rm", "--quiet", "--cached", "auth.py")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},auth.py")
    git(repository, "commit", "--quiet", "-m", "submodule")
    assert "it is a submodule now" in verdict_of(repository).why
    done = run("verify")
    assert (done.code, done.out.splitlines()[-1]) == (1, "1 citation: 1 uncheckable.")


def test_a_file_that_became_a_folder_or_a_link_to_where_it_moved(repository: Path, run: Run) -> None:
    """What has its text is found all the same."""
    fact(run, "--cite", "auth.py:5-6")
    os.unlink(repository / "auth.py")
    (repository / "auth.py").mkdir()
    (repository / "auth.py" / "code.py").write_text(CODE)
    commit(repository)
    assert said(repository) == [("moved", "auth.py/code.py", 5, 6)]


def test_lines_that_are_past_the_end_now(repository: Path, run: Run) -> None:
    """A file that was cut short."""
    fact(run, "--cite", "auth.py:5-6")
    commit(repository, auth_py="def login():\n    return True\n")
    assert said(repository) == [("gone", "", 0, 0)]


def test_a_depth_1_checkout_without_the_cited_commit_is_enough(repository: Path, run: Run, tmp_path: Path) -> None:
    """Only the tree is needed."""
    fact(run, "--cite", "auth.py:5-6")
    commit(repository, auth_py="import os\n" + CODE)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    home = str(repository / ".git/swarm")
    with Swarm.open(str(tmp_path / "shallow"), home) as swarm:
        (found,) = Evidence(swarm).verdicts()
    assert (found.verdict, found.first) == ("moved", 6)


def test_a_check_in_which_nothing_can_be_reached_fails_and_says_why(
    repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ref that is not there, a repository of a kind that this git does not know, no repository at all."""
    fact(run, "--cite", "auth.py:5-6")
    done = run("verify", "--ref", "nowhere")
    assert (done.code, done.out.splitlines()[-1]) == (1, "No code could be checked: 'nowhere' is no commit here.")
    for ref in ("--help", "-x", "HEAD:auth.py", "a\nb"):
        assert run("verify", f"--ref={ref}").code == 1
    git(repository, "config", "core.repositoryFormatVersion", "1")
    git(repository, "config", "extensions.someRefStorage", "reftable")
    done = run("verify")
    assert done.code == 1
    assert "No code could be checked: " in done.out
    assert "extension" in done.out
    monkeypatch.setenv("SWARM_HOME", str(repository / ".git/swarm"))
    monkeypatch.chdir("/")
    assert "not inside a repository" in run("verify").out


def test_a_commit_that_is_gone_is_not_needed(repository: Path, run: Run) -> None:
    """It is only used to show what a changed text was."""
    id = fact(run, "--cite", "auth.py:5-6")
    git(repository, "checkout", "--quiet", "--orphan", "fresh")
    commit(repository, auth_py=CODE.replace("False", "None"))
    git(repository, "branch", "-D", "main")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "--quiet", "--prune=now")
    done = run("verify")
    assert done.out.startswith(f"{id}  auth.py:5-6  changed, now auth.py:5-6 (its lines are different now)\n")
    assert "    +    return None\n" in done.out


def test_a_bare_repository_is_looked_at_too(repository: Path, run: Run, tmp_path: Path) -> None:
    """The hub of a swarm of worktrees."""
    fact(run, "--cite", "auth.py:5-6")
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, tmp_path / "hub.git"], check=True)
    with Swarm.open(str(tmp_path / "hub.git"), str(repository / ".git/swarm")) as swarm:
        (found,) = Evidence(swarm).verdicts()
    assert found.verdict == "fresh"


def findings(done: Ran) -> list[tuple[str, str]]:
    """(severity, rule) of each finding."""
    return [(one["severity"], one["rule"]) for one in json.loads(done.out)["findings"]]


def test_check_looks_at_evidence_contested_and_outdated_facts(repository: Path, run: Run) -> None:
    """Evidence that changed is an error; the others are warnings."""
    fact(run, "--cite", "auth.py:5-6", "--key", "auth.logout", title="one")
    fact(run, "--key", "auth.logout", title="two")
    fact(run, "--set", "valid_to=2026-01-01T00:00:00Z", "--valid-from", "2025-01-01", title="three")
    assert findings(run("check", "--json")) == [("warn", "contested"), ("warn", "expired")]
    commit(repository, auth_py=CODE.replace("False", "None"))
    done = run("check", "--json")
    assert (done.code, findings(done)[0]) == (1, ("error", "evidence"))
    (first, *_) = json.loads(done.out)["findings"]
    assert (first["file"], first["first"], first["last"]) == ("auth.py", 5, 6)
    assert "which ada recorded, rests on auth.py:5-6, which changed" in first["message"]
    assert run("check", "--ledger").code == 0


def test_the_settings_say_how_bad_a_rule_is(repository: Path, run: Run) -> None:
    """A rule or severity that is not known is refused."""
    fact(run, "--cite", "auth.py:5-6", "--key", "a.b", title="one")
    fact(run, "--key", "a.b", title="two")
    commit(repository, auth_py=CODE.replace("False", "None"))

    def settings(text: str) -> None:
        with Swarm.open(str(repository)) as swarm:
            agent = swarm.agent("ada")
            now = swarm.store.read("swarm.yaml")
            assert agent is not None
            assert now is not None
            agent.commit("settings", [Put("swarm.yaml", "swarm.yaml", text.encode(), now.blob)])

    settings("format: 1\ncheck: {evidence: warn, contested: off}\n")
    done = run("check", "--json")
    assert (done.code, findings(done)) == (0, [("warn", "evidence")])
    for wrong in ("{evidnce: warn}", "{evidence: bad}", "3"):
        settings(f"format: 1\ncheck: {wrong}\n")
        assert run("check").code == 2


def test_a_branch_is_told_of_what_it_changed_itself(repository: Path, run: Run) -> None:
    """Not of what had changed before it, nor of what it only moved."""
    commit(repository, other_py="x = 1\ny = 2\nz = 3\n")
    fact(run, "--cite", "auth.py:5-6", title="one")
    fact(run, "--cite", "auth.py:1-2", title="two")
    fact(run, "--cite", "other.py:1-3", title="three")
    commit(repository, other_py="x = 1\ny = 3\nz = 3\n")
    git(repository, "checkout", "--quiet", "-b", "topic")
    commit(repository, auth_py="import os\n" + CODE.replace("False", "None"), other_py="x = 1\ny = 3\nz = 4\n")
    done = run("check", "--ref", "topic", "--since", "main", "--format", "json")
    found = [one for one in json.loads(done.out)["findings"] if one["rule"] == "evidence"]
    assert [(one["file"], one["first"], one["last"]) for one in found] == [("auth.py", 7, 7)]
    commit(repository, auth_py=None)
    done = run("check", "--since", "main", "--format", "github")
    assert sum(line.startswith("::error") for line in done.out.splitlines()) == 2


def test_what_a_branch_did_comes_before_what_the_ledger_has(repository: Path, run: Run, tmp_path: Path) -> None:
    """GitHub shows ten annotations of a kind."""
    fact(run, "--set", "valid_to=2026-01-01T00:00:00Z", "--valid-from", "2025-01-01", title="old")
    fact(run, "--cite", "auth.py:5-6", title="new")
    git(repository, "checkout", "--quiet", "-b", "topic")
    commit(repository, auth_py=CODE.replace("False", "None"))
    done = run("check", "--since", "main", "--format", "github")
    assert [line.split("::")[1].split("title=")[1] for line in done.out.splitlines()[:-1]] == ["evidence", "expired"]


def test_a_summary_that_is_too_long_for_github_says_how_much_is_left_out() -> None:
    """Of a longer one GitHub shows nothing."""
    many = [Finding("warn", "expired", "facts/x.md", "|" * 1000) for _ in range(1000)]
    text = _summary(many, "1000 entries.")
    shown = text.count("| warn | expired |")
    assert len(text.encode()) < 1_000_000
    assert text.endswith(f"\n\n{1000 - shown} more are in the log of this step.\n")


def test_a_program_that_goes_on_is_told_of_the_commit_of_now(repository: Path, run: Run) -> None:
    """It opened the ledger before its branch moved, another was checked out, and refs were packed."""
    id = fact(run, "--cite", "auth.py:5-6")
    git(repository, "branch", "old")
    with Swarm.open(str(repository)) as swarm:

        def evidence() -> str:
            ((one, standing),) = [(hit.id, hit.standing) for hit in swarm.reader().recall("refused")]
            assert one == id and standing
            return standing.evidence

        assert evidence() == "fresh"
        commit(repository, auth_py=CODE.replace("False", "None"))
        assert evidence() == "changed"
        git(repository, "checkout", "--quiet", "old")
        assert evidence() == "fresh"
        git(repository, "pack-refs", "--all")
        git(repository, "checkout", "--quiet", "--detach", "main")
        assert evidence() == "changed"
        git(repository, "checkout", "--quiet", "old")
        git(repository, "reset", "--quiet", "--hard", "main")
        assert evidence() == "changed"
        commit(repository, auth_py=None)
        assert evidence() == "gone"


def test_what_is_known_of_a_commit_needs_no_git(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start would take most of the time of an answer. Another commit is asked for, and so is one in packed refs."""
    fact(run, "--cite", "auth.py:5-6")
    asked: list[str] = []
    git_of = codetree.git

    def counted(directory: str, *arguments: str, stdin: bytes = b"") -> bytes:
        asked.append(arguments[0])
        return git_of(directory, *arguments, stdin=stdin)

    monkeypatch.setattr(codetree, "git", counted)

    def evidence() -> str:
        asked.clear()
        return str(json.loads(run("recall", "refused", "--json").out)["standing"]["evidence"])

    assert (evidence(), asked != []) == ("fresh", True)
    assert (evidence(), asked) == ("fresh", [])
    commit(repository, auth_py=CODE.replace("False", "None"))
    assert (evidence(), asked != []) == ("changed", True)
    assert (evidence(), asked) == ("changed", [])
    git(repository, "pack-refs", "--all")
    assert (evidence(), asked != []) == ("changed", True)
    git(repository, "checkout", "--quiet", "--detach", "HEAD~")
    assert (evidence(), asked) == ("fresh", [])


@pytest.mark.parametrize("options", [[], ["--ref-format=reftable"]])
def test_a_repository_without_a_commit_is_looked_at_again(tmp_path: Path, options: list[str]) -> None:
    """What could not be checked because there was no commit can be once there is one, in both formats of refs."""
    if subprocess.run(["git", "init", "-q", *options, str(tmp_path)], capture_output=True, check=False).returncode:
        pytest.skip("this git knows no other format of refs")
    (tmp_path / "a.py").write_text("def limit():\n    return 3\n")
    with Swarm.init(str(tmp_path)) as swarm:
        agent = swarm.join("ada")
        agent.remember("The limit is 3", cite=["a.py:1-2"])
        git(tmp_path, "add", "a.py")
        (tmp_path / "a.py").unlink()
        assert [hit.standing and hit.standing.evidence for hit in agent.recall("limit")] == ["uncheckable"]
        git(tmp_path, "commit", "--quiet", "-m", "begin")
        assert [hit.standing and hit.standing.evidence for hit in agent.recall("limit")] == ["fresh"]
