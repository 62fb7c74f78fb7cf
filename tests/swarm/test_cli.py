"""The command: what each verb prints, who acts, how it ends."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.cli import VERBS, main

from .conftest import Ran, git

Run = Callable[..., Ran]


def module_of(verb: str) -> object:
    """The module of a verb."""
    return importlib.import_module(f"swarm.cli.{'import_' if verb == 'import' else verb}")


def fact(run: Run, *arguments: str) -> str:
    """The id of a fact that ada writes."""
    done = run("--as", "ada", "remember", *(arguments or ("Sessions expire",)))
    assert done.code == 0, done.err
    return done.id


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_documented(run: Run, verb: str) -> None:
    """Its help says what it does, shows an example that begins with it, and tells of --json and --as."""
    shown = run("help", verb)
    assert shown.code == 0
    assert f"example:\n  swarm {verb}" in shown.out
    assert "--json" in shown.out and "--as NAME" in shown.out
    assert (module_of(verb).__doc__ or "").strip().splitlines()[0] in shown.out
    assert f"  {verb:<10} {VERBS[verb]}" in run("help").out


def test_every_module_of_a_verb_is_listed() -> None:
    """No verb is hidden."""
    package = Path(importlib.import_module("swarm.cli").__file__ or "").parent
    helpers = {"__init__", "call", "crash", "fields", "output"}
    assert {path.stem.rstrip("_") for path in package.glob("*.py") if path.stem not in helpers} == set(VERBS)


def test_help_and_version(run: Run) -> None:
    """Without a verb there is the list of verbs."""
    assert run().out == run("--help").out == run("help").out
    assert re.fullmatch(r"swarm \d+\.\d+\.\d+\n", run("--version").out)
    assert run("log", "--help").out == run("help", "log").out


def test_verbs_of_later_versions_say_so(run: Run) -> None:
    """One line, exit code 2."""
    done = run("plan", "new", "x")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"swarm: `swarm plan` is not in this version \(.*\); `swarm help` lists what is\.\n", done.err)


def test_what_is_no_verb_is_answered_with_the_nearest(run: Run) -> None:
    """A typo is exit code 2."""
    done = run("rember", "x")
    assert (done.code, done.err) == (2, "swarm: there is no verb 'rember'; did you mean remember?\n")
    assert run("--frobnicate").code == 2


def test_a_first_session(repository: Path, run: Run) -> None:
    """join, log, remember, recall, show, edit, history, status, check."""
    assert run("join", "ada", "--role", "tests").out == "You are ada.\n"
    line = run("log", "the", "login", "test", "fails", "--tag", "error")
    assert re.fullmatch(r"log-\d{6}-\w{8} logged in commit [0-9a-f]{12}\n", line.out)
    id = run("remember", "Login is slow", "--body", "Two seconds.", "--entity", "service:auth").id
    assert run("recall", "login").out.splitlines()[0].startswith("1. ")
    assert run("show", id).out.endswith("\n---\n\nTwo seconds.\n")
    assert f"{id} changed in commit" in run("edit", id, "--body", "Three seconds.").out
    history = run("history", id).out.splitlines()
    assert [re.sub(r"^\S+Z  commit [0-9a-f]{12}  version [0-9a-f]{12}", "AT", row) for row in history] == [
        f"AT  ada  edit {id}",
        "AT  ada  fact: Login is slow",
    ]
    status = run("status").out
    assert f"ledger   {repository}/.git/swarm/ledger.git\n" in status
    assert "entries  1 entity, 1 fact, 1 log\nagent    ada, tests\nyou      ada, tests\n" in status
    assert status.endswith("changed  nothing of what you read\n")
    checked = run("check")
    assert (checked.code, checked.out) == (0, "3 entries, 4 commits: 0 errors, 0 warnings.\n")


def test_json_is_one_object_or_one_a_line(repository: Path, run: Run) -> None:
    """Every verb that answers does so in JSON, too."""
    run("join", "ada")
    made = json.loads(run("remember", "Login is slow", "--json").out)
    assert set(made) == {"id", "commit", "path", "version", "created", "changed"}
    assert (len(made["commit"]), len(made["version"])) == (40, 40)
    shown = json.loads(run("--json", "show", made["id"]).out)
    assert (shown["version"], shown["fields"]["title"], shown["retracted"]) == (made["version"], "Login is slow", None)
    hits = [json.loads(row) for row in run("recall", "login", "--json").out.splitlines()]
    assert [hit["id"] for hit in hits] == [made["id"]]
    assert {name for name, value in hits[0].items() if value is None} == {
        "valid_from",
        "room",
        "ref",
        "status",
        "until",
    }
    history = [json.loads(row) for row in run("history", made["id"], "--json").out.splitlines()]
    assert [(one["version"], one["by"]) for one in history] == [(made["version"], "ada")]
    status = json.loads(run("status", "--json").out)
    assert (status["entries"], status["me"]["agent"], status["stale"]) == ({"fact": 1}, "ada", {})
    sound = {"ok": True, "entries": 1, "commits": 2, "findings": [], "unseen": [], "changed": 0}
    assert json.loads(run("check", "--json").out) == sound
    assert status["agents"] == [
        {"name": "ada", "role": None, "directory": str(repository), "present": True, "joined": True}
    ]
    for verb in (["doctor"], ["gc"], ["reindex"], ["init"], ["session", "reset"], ["join", "ada"]):
        done = run(*verb, "--json")
        assert (done.code, type(json.loads(done.out))) == (0, dict), done


def test_files_of_other_programs_are_named_where_they_are_wrong(repository: Path, run: Run) -> None:
    """That is no matter of the disk, so it is bad input."""
    (repository / "file").write_text("x\n")
    for arguments, why in (
        (("import", "jsonl", "none"), "none: no such file; give the path of what `swarm export` printed."),
        (("import", "jsonl", "."), ". is a directory; give the file that `swarm export` printed."),
        (("export", "--to", "file"), "file is a file; name a new directory."),
        (("export", "--to", "file/x"), "file/x is a file; name a new directory."),
        (("--as",), "--as needs the name of an agent: swarm --as NAME VERB …"),
    ):
        done = run("--as=ada", *arguments)
        assert (done.code, done.err) == (2, f"swarm: {why}\n")


def test_errors_in_json_are_one_object_on_standard_error(repository: Path, run: Run) -> None:
    """A conflict carries the three texts and the place of the draft."""
    id = fact(run)
    run("--as", "bob", "show", id)
    run("--as", "ada", "edit", id, "--body", "one")
    done = run("--as", "bob", "edit", id, "--body", "two", "--json")
    error = json.loads(done.err)
    assert (done.code, done.out, error["error"]) == (3, "", "Conflict")
    assert error["mine"].endswith("two\n") and error["theirs"].endswith("one\n") and "rev: 1" in error["base_text"]
    assert Path(error["draft"]).read_text() == error["mine"]


def test_exit_codes(repository: Path, run: Run) -> None:
    """2 bad input, 3 conflict, 4 refused; the message is one or two lines on standard error."""
    id = fact(run)
    run("--as", "bob", "show", id)
    run("--as", "ada", "edit", id, "--body", "one")
    for code, words in (
        (2, ["show", "../../etc/passwd"]),
        (2, ["show", "fact-261121-00000000"]),
        (2, ["recall"]),
        (2, ["recall", "x", "-k", "none"]),
        (2, ["edit", id]),
        (2, ["edit", id, "--set", "title"]),
        (3, ["--as", "bob", "edit", id, "--body", "two"]),
        (4, ["--as", "eve", "edit", id, "--body", "two"]),
    ):
        done = run(*words)
        assert (done.code, done.out) == (code, ""), done
        assert done.err.startswith("swarm: ") and done.err.count("\n") <= 2
        assert "Traceback" not in done.err


def test_without_identity_writing_asks_who_you_are(repository: Path, run: Run) -> None:
    """Writing verbs exit with 2; reading verbs work."""
    id = fact(run)
    for words in (["log", "x"], ["remember", "x"], ["edit", id, "--body", "x"], ["retract", id, "--why", "x"]):
        done = run(*words)
        assert done.code == 2
        assert done.err == "swarm: who are you? Run `swarm join NAME` in this worktree, or give --as NAME.\n"
    for words in (["show", id], ["recall", "sessions"], ["status"], ["history", id], ["export"], ["check"]):
        assert run(*words).code == 0


def test_a_log_entry_is_shown_with_its_author_and_time(repository: Path, run: Run) -> None:
    """And with what it is about, before its text."""
    line = run("--as", "ada", "log", "the login test\nfails", "--to", "bob").id
    assert re.fullmatch(
        line + r'  by ada, \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n\{"to": "bob"\}\n\nthe login test\nfails\n',
        run("show", line).out,
    )


def test_recall_marks_what_no_longer_holds(repository: Path, run: Run) -> None:
    """A successor first, the old one marked; a retracted one with the reason; to whom a message is."""
    old = fact(run, "Sessions live long", "--body", "Fifteen minutes.")
    new = run("--as", "ada", "supersede", old, "Sessions live longer").id
    run("--as", "ada", "retract", fact(run, "Sessions are short"), "--why", "wrong branch")
    run("--as", "ada", "log", "look at this", "--to", "bob")
    found = run("recall", "sessions", "live", "long").out
    assert found.index(new) < found.index(f". {old}")
    assert f", superseded by {new}\n" in found
    assert "   retracted: wrong branch\n" in run("recall", "short").out
    assert re.search(r"\n   by ada, to bob, 2\S+Z\n", run("recall", "--to", "bob").out)
    done = run("recall", "sessions", "--kind", "fact,log")
    assert (done.code, "'fact,log' is no kind of entry" in done.err) == (2, True)


def test_scores_have_two_decimals(repository: Path, run: Run) -> None:
    """Never an exponent; without words there is no score."""
    id = fact(run)
    assert re.match(r"1\. \S+  (<0\.01|\d+\.\d\d)  Sessions expire\n", run("recall", "sessions").out)
    assert run("recall", "--kind", "fact").out.startswith(f"1. {id}  Sessions expire\n")


@pytest.mark.parametrize("name", ["staus", "Title", "depend_on", "scopes"])
def test_a_field_that_is_misspelt_is_refused(repository: Path, run: Run, name: str) -> None:
    """It names the nearest; any other unknown name is a field of one's own."""
    done = run("--as", "ada", "remember", "x", "--set", f"{name}=done")
    assert (done.code, "did you mean" in done.err) == (2, True)
    assert fact(run, "x", "--set", "jira=SHOP-7", "--set", "status=done")


def test_joining_says_who_acts(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of another, against SWARM_AGENT, against --as."""
    run("join", "ada", "--role", "backend")
    assert run("join", "bob").out == (
        "You are bob.\nada, who was the agent of this worktree, acts from here on by --as ada.\n"
    )
    assert json.loads(run("join", "eve", "--json").out)["replaced"] == "bob"
    done = run("--as", "q", "join", "p")
    assert (done.code, done.err) == (2, "swarm: --as q and join p: leave out --as, join takes the name.\n")
    monkeypatch.setenv("SWARM_AGENT", "q")
    done = run("join", "p")
    assert done.code == 0
    assert done.err == "swarm: SWARM_AGENT is q, and comes before who joined: unset it to act as p.\n"
    run("log", "x")
    assert "agent    ada, backend\n" in run("status").out
    assert "agent    q (by --as)\n" in run("status").out


def test_no_name_is_refused(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty --as is no way to be somebody else; an empty SWARM_AGENT is none."""
    run("join", "ada")
    for words in (["--as", "", "log", "x"], ["--as=", "status"], ["log", "x", "--as", ""]):
        done = run(*words)
        assert (done.code, done.err) == (2, "swarm: an agent needs a name, such as backend-2\n")
    monkeypatch.setenv("SWARM_AGENT", "")
    assert run("log", "x").code == 0


def test_a_relative_swarm_home_is_refused(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another ledger in each directory."""
    monkeypatch.setenv("SWARM_HOME", "elsewhere")
    for words in (["init"], ["status"], ["doctor"], ["git", "log"]):
        done = run(*words)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("swarm: SWARM_HOME is 'elsewhere', which would be another place in each directory")
    assert not (repository / "elsewhere").exists()


def test_a_directory_that_was_deleted(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line and exit code 2, no traceback."""
    gone = repository / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (["status"], ["init"], ["git", "log"], ["doctor"], ["--as", "ada", "log", "x"]):
        done = run(*words)
        assert (done.code, done.err) == (2, "swarm: the current directory was deleted; change to one that exists.\n")
    monkeypatch.chdir(repository)


def test_who_acts(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--as behind the verb, before it, SWARM_AGENT, then who joined; each weaker than the one before."""

    def author() -> str:
        return git(repository, "--git-dir=.git/swarm/ledger.git", "log", "-1", "--format=%an", "swarm-ledger").strip()

    run("join", "joined")
    run("log", "x")
    assert author() == "joined"
    monkeypatch.setenv("SWARM_AGENT", "environment")
    run("log", "x")
    assert author() == "environment"
    run("--as", "before", "log", "x")
    assert author() == "before"
    run("--as=before", "log", "x", "--as", "behind")
    assert author() == "behind"


def test_a_taken_name_is_said(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a second worktree of git's own the same name gets a suffix."""
    run("join", "backend")
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path / "second")
    assert run("join", "backend").out == "You are backend-2: backend works in another worktree.\n"
    assert "agent    backend\nagent    backend-2\nyou      backend-2\n" in run("status").out


@pytest.mark.parametrize("name", ["../x", "-x", "a\nb", "a\x1b[2Jb", "🦀"])
def test_bad_agent_names(repository: Path, run: Run, name: str) -> None:
    """Refused with exit code 2; what they hold is escaped where it is shown."""
    for words in (["join", "--", name], [f"--as={name}", "log", "x"], ["log", "x", f"--as={name}"]):
        done = run(*words)
        assert done.code == 2, done
        assert "is no agent name" in done.err
        assert "\x1b" not in done.err
    assert not (repository / ".git/swarm/names").exists()


def test_outside_a_repository(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to do; `swarm init` makes repository and ledger."""
    monkeypatch.delenv("SWARM_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    done = run("status")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "`swarm init`" in done.err
    assert run("init").code == 0
    assert run("status").code == 0
    assert (tmp_path / ".git/swarm/ledger.git/HEAD").exists()


def test_swarm_home_keeps_the_ledger_elsewhere(
    run: Run, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It overrides the place, also from outside a repository."""
    monkeypatch.setenv("SWARM_HOME", str(tmp_path / "elsewhere"))
    assert run("init").out.startswith(f"The ledger is in {tmp_path}/elsewhere/ledger.git.\n")
    (tmp_path / "sandbox").mkdir()
    monkeypatch.chdir(tmp_path / "sandbox")
    assert run("join", "ada").code == 0
    assert run("log", "x").code == 0


def test_text_that_begins_with_a_dash(repository: Path, run: Run) -> None:
    """It goes behind `--`, and the error says so."""
    done = run("--as", "ada", "log", "--nonsense")
    assert done.code == 2
    assert "A text that begins with a dash goes behind `--`" in done.err
    assert run("--as", "ada", "log", "--", "--json").code == 0
    assert run("recall", "json").out.startswith("1. log-")
    id = fact(run, "--body=-x", "--", "-title")
    assert run("show", id).out.endswith("---\n\n-x\n")


def test_a_dash_reads_standard_input(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text comes as it is; what is not UTF-8 is refused."""

    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    give("über\r\nlines\n".encode())
    line = run("--as", "ada", "log", "-").id
    assert json.loads(run("show", line, "--json").out)["body"] == "über\r\nlines"
    give(b"# Body\n")
    assert run("show", fact(run, "Title", "--body", "-")).out.endswith("---\n\n# Body\n")
    give(b"\xff")
    done = run("--as", "ada", "log", "-")
    assert (done.code, done.err) == (2, "swarm: standard input is not UTF-8 (byte 0).\n")


def test_a_citation_of_code(repository: Path, run: Run) -> None:
    """Path from the worktree's root, lines, the commit that holds them, and the sha256 of their text."""
    fields = json.loads(run("show", fact(run, "Login passes", "--cite", "auth.py:1-2"), "--json").out)["fields"]
    assert fields["citations"] == [
        {
            "path": "auth.py",
            "lines": [1, 2],
            "commit": git(repository, "rev-parse", "HEAD").strip(),
            "sha256": "abf8ecca3a0383f9ed65c07d9c6777bf341f2db761ec1fd336d5c6d5592d759e",
            "marks": ".O44v4Ue6JEQ.46e0z8nPVEw..",
            "copies": 1,
        }
    ]


def test_git_runs_on_the_ledger_with_its_own_arguments(repository: Path, run: Run) -> None:
    """Options are git's, its exit code too."""
    id = fact(run)
    assert "fact: Sessions expire\n" in run("git", "log", "--format=%s").out
    assert run("git", "log", "--format=%(trailers:key=Entry,valueonly)", "-1").out.strip() == id
    assert run("git", "frobnicate").code == 1
    assert run("git", "--version").out.startswith("git version")


def test_control_characters_are_shown_to_a_terminal_not_obeyed(repository: Path) -> None:
    """On a pseudo-terminal an escape in a body is printed as text; in a pipe the bytes are as they are."""
    swarm = [sys.executable, "-m", "swarm"]
    body = "a\x1b[2Jb\u202ec"
    made = subprocess.run([*swarm, "--as", "ada", "remember", "T", "--body", body], capture_output=True, check=True)
    name = made.stdout.decode().split()[0]
    piped = subprocess.run([*swarm, "show", name], capture_output=True, check=True).stdout
    assert piped.endswith("a\x1b[2Jb\u202ec\n".encode())
    leader, follower = os.openpty()
    subprocess.run([*swarm, "show", name], stdout=follower, check=True)
    os.close(follower)
    shown = b""
    with open(leader, "rb", buffering=0) as file:
        while b"c\r\n" not in shown:
            shown += file.read(4096)
    assert shown.endswith(b"a\\x1b[2Jb\\u202ec\r\n")


def test_a_closed_pipe_is_quiet(repository: Path, run: Run) -> None:
    """`swarm export | head -0` says nothing on standard error."""
    for number in range(3):
        fact(run, f"fact {number}", "--body", "x" * 100_000)
    command = f"{sys.executable} -m swarm export | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr, len(done.stdout)) == (141, b"", 10)


def test_a_fault_of_the_program_is_one_line_and_a_file(
    repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 70; the traceback is in the file that the line names."""

    def broken(*_: object) -> None:
        raise RuntimeError("it\nbroke \x1b[2J")

    monkeypatch.setattr("swarm.reader.Reader.show", broken)
    done = run("show", "fact-261121-00000000")
    assert (done.code, done.err.count("\n")) == (70, 1)
    assert done.err.startswith("swarm: unexpected RuntimeError: it broke \\x1b[2J; the traceback is in ")
    kept = Path(done.err.partition("traceback is in ")[2].partition(";")[0].split(".txt")[0] + ".txt")
    assert kept.parent == repository / ".git/swarm/crash"
    assert "Traceback (most recent call last)" in kept.read_text()


def test_an_interrupt_is_130(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("swarm.reader.Reader.show", interrupt)
    done = run("show", "fact-261121-00000000")
    assert (done.code, done.err) == (130, "")


def test_damage_is_exit_code_5(repository: Path, run: Run) -> None:
    """A file that another git put there and that is no entry is named, with what to do."""
    id = fact(run)
    ledger = f"--git-dir={repository}/.git/swarm/ledger.git"
    path = f"facts/20{id[5:7]}/{id[7:9]}/{id[9:11]}/{id[12]}/{id}.md"
    blob = subprocess.run(
        ["git", ledger, "hash-object", "-w", "--stdin"], input=b"no front matter\n", capture_output=True, check=True
    ).stdout.decode()
    git(repository, ledger, "read-tree", "swarm-ledger")
    git(repository, ledger, "update-index", "--cacheinfo", f"100644,{blob.strip()},{path}")
    tree = git(repository, ledger, "write-tree").strip()
    commit = git(repository, ledger, "commit-tree", "-p", "swarm-ledger", "-m", "by hand", tree).strip()
    git(repository, ledger, "update-ref", "refs/heads/swarm-ledger", commit)
    done = run("show", id)
    assert (done.code, done.out) == (5, "")
    assert f"{path} is not a readable entry" in done.err and "`swarm git show" in done.err
    checked = run("check")
    assert checked.code == 1
    assert f"error: {path}: " in checked.out and f"warn: {commit}: was made by another git" in checked.out


def test_doctor_and_gc(repository: Path, run: Run) -> None:
    """A sound ledger has nothing to mend, before and after it is packed."""
    fact(run)
    for verb, said in (("doctor", "nothing is wrong.\n"), ("gc", "packed.\n"), ("doctor", "nothing is wrong.\n")):
        assert (run(verb).code, run(verb).out) == (0, said)


def test_session_reset(repository: Path, run: Run) -> None:
    """After it an edit asks to read first."""
    id = fact(run)
    assert run("--as", "ada", "session", "reset").out == "ada has read nothing from here on.\n"
    assert run("--as", "ada", "edit", id, "--body", "x").code == 4


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the installed command calls it."""
    monkeypatch.setattr("sys.argv", ["swarm", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("swarm ")


def test_recall_explains_and_abstains(repository: Path, run: Run) -> None:
    """--explain shows the parts of a rank; --min-score leaves out what is worse and says so; a chance is below one."""
    run("remember", "--as=ada", "Retry policy of the client")
    assert "around_cover +" in run("recall", "--explain", "retry policy").out
    assert (
        run("recall", "--min-score=0.999", "retry policy").out == "nothing good: no entry answers with that chance.\n"
    )
    assert run("recall", "--min-score=2", "retry").code == 2
