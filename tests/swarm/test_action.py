"""The Action: its steps as they are written, run as a runner would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm import Swarm
from swarm.github import WORKFLOW, files_for_code

from .conftest import Ran, git
from .remote import HEADER, TOKEN, serving

Run = Callable[..., Ran]
ROOT = Path(__file__).parents[2]
CODE = "".join(f"def f{n}(value):\n    total = value + {n}\n    return total\n\n\n" for n in range(12))
_EXPRESSION = re.compile(r"\$\{\{ *([a-z_.]+) *\}\}")


def evaluated(text: str, context: dict[str, Any]) -> str:
    """`text` with its expressions, which are all paths into `context`."""

    def value(found: re.Match[str]) -> str:
        at: Any = context
        for name in found[1].split("."):
            at = (at or {}).get(name)
        return "" if at is None else str(at)

    return _EXPRESSION.sub(value, text)


def steps(inputs: dict[str, str], github: dict[str, Any], temp: Path) -> list[tuple[str, dict[str, str]]]:
    """(script, environment) of each step of the Action."""
    action = yaml.safe_load((ROOT / ".github/actions/ledger-check/action.yml").read_text())
    context = {"github": github, "runner": {"temp": temp}}
    given = {name: evaluated(one.get("default", ""), context) for name, one in action["inputs"].items()} | inputs
    context["inputs"] = given
    found = []
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"], "an expression in a script is an injection"
        environment = {name: evaluated(str(value), context) for name, value in step.get("env", {}).items()}
        found.append((step["run"], environment))
    return found


def run_action(checkout: Path, temp: Path, event: dict[str, Any], server: str) -> subprocess.CompletedProcess[str]:
    """Run all steps in `checkout`, as on a runner where nothing is configured."""
    tools = temp / "bin"
    tools.mkdir(parents=True)
    (tools / "python").write_text('#!/bin/sh\necho "$@" >> "$RUNNER_TEMP/installed"\n')
    (tools / "python").chmod(0o755)
    (tools / "swarm").symlink_to(Path(sys.executable).parent / "swarm")
    event_file = temp / "event.json"
    event_file.write_text(json.dumps(event))
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(temp),
        "RUNNER_TEMP": str(temp),
        "CI": "true",
        "GITHUB_EVENT_PATH": str(event_file),
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
    }
    github = {"event": json.loads(event_file.read_text()), "token": TOKEN, "server_url": server}
    for script, own in steps({"install": "the-tool"}, github, temp):
        (temp / "step.sh").write_text(script)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(temp / "step.sh")]
        done = subprocess.run(command, cwd=checkout, env=environment | own, capture_output=True, text=True, check=False)
        if done.returncode:
            break
    return done


def prepared(repository: Path, run: Run, tmp_path: Path, change: Callable[[], None]) -> tuple[Path, str]:
    """(a directory with a bare remote that has the ledger and a pull request that makes `change`, its base)."""
    (repository / "code.py").write_text(CODE)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "code")
    base = git(repository, "rev-parse", "HEAD").strip()
    served = tmp_path / "served"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", served / "code.git"], check=True)
    git(repository, "remote", "add", "origin", str(served / "code.git"))
    run("--as", "ada", "remember", "Adding 3 is never refused", "--cite", "code.py:16-18")
    run("--as", "ada", "remember", "Adding 5 <b>is</b> | `quick`", "--cite", "code.py:26-28")
    assert run("--as", "ada", "sync", "origin").code == 0
    git(repository, "push", "--quiet", "origin", "main")
    git(repository, "checkout", "--quiet", "-b", "topic")
    change()
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "-m", "topic")
    git(repository, "push", "--quiet", "origin", "HEAD:refs/pull/1/merge")
    return served, base


def checked_out(tmp_path: Path, url: str) -> Path:
    """The pull request, checked out to depth 1 with credentials that are not kept."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    git(checkout, "init", "--quiet")
    git(checkout, "remote", "add", "origin", f"{url}/code.git")
    authorized = ("-c", f"http.{url}/.extraheader={HEADER}")
    git(checkout, *authorized, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", "refs/pull/1/merge")
    git(checkout, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    assert git(checkout, "rev-list", "--count", "HEAD").strip() == "1"
    return checkout


def test_a_pull_request_is_told_which_facts_rest_on_the_lines_that_it_changes(
    repository: Path, run: Run, tmp_path: Path
) -> None:
    """From a depth-1 checkout, its event, a token that only reads, and the ledger fetched from a bare remote."""

    def change() -> None:
        (repository / "code.py").write_text("import os\n\n" + CODE.replace("value + 3", "value + 33"))

    served, base = prepared(repository, run, tmp_path, change)
    refused: list[str] = []
    with serving(served, refused) as url:
        checkout = checked_out(tmp_path, url)
        done = run_action(checkout, tmp_path / "temp", {"pull_request": {"number": 1, "base": {"sha": base}}}, url)
    assert done.returncode == 1, done.stderr
    assert refused == []
    (annotation,) = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert annotation.startswith("::error file=code.py,line=19,endLine=19,title=evidence::fact-")
    for part in ("which ada recorded", "code.py:16-18", "Adding 3 is never refused", "swarm supersede fact-"):
        assert part in annotation
    summary = (tmp_path / "temp/summary.md").read_text()
    assert "code&#46;" not in summary
    assert "| error | evidence | code.py:19 |" in summary
    assert (
        tmp_path / "temp/installed"
    ).read_text() == "-P -m pip install --quiet --disable-pip-version-check -- the-tool\n"


def test_a_pull_request_that_touches_no_evidence_passes(repository: Path, run: Run, tmp_path: Path) -> None:
    """What only moves is no finding; nothing was pushed."""

    def change() -> None:
        (repository / "code.py").write_text("import os\n\n" + CODE.replace("value + 9", "value + 99"))

    served, base = prepared(repository, run, tmp_path, change)
    with serving(served, []) as url:
        checkout = checked_out(tmp_path, url)
        done = run_action(checkout, tmp_path / "temp", {"pull_request": {"base": {"sha": base}}}, url)
    assert (done.returncode, "::error" in done.stdout) == (0, False), done.stdout + done.stderr


def test_a_repository_without_a_ledger_branch_passes_and_says_so(tmp_path: Path, repository: Path) -> None:
    """The workflow may be there before the ledger is."""
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, tmp_path / "served/code.git"], check=True)
    git(tmp_path / "served/code.git", "update-ref", "refs/pull/1/merge", "main")
    with serving(tmp_path / "served", []) as url:
        checkout = checked_out(tmp_path, url)
        done = run_action(checkout, tmp_path / "temp", {"pull_request": {"base": {"sha": "0" * 40}}}, url)
    assert done.returncode == 0
    assert "::notice title=ledger::There is no branch swarm-ledger" in done.stdout


def test_a_token_that_may_not_read_fails_the_check(tmp_path: Path, repository: Path) -> None:
    """It is not taken for a ledger that is not there."""
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, tmp_path / "served/code.git"], check=True)
    git(tmp_path / "served/code.git", "update-ref", "refs/pull/1/merge", "main")
    with serving(tmp_path / "served", []) as url:
        checkout = checked_out(tmp_path, url)
        done = run_action(checkout, tmp_path / "temp", {"pull_request": {"base": {"sha": "0" * 40}}}, "http://other")
    assert done.returncode != 0


def test_the_action_here_is_the_one_that_is_given_to_users() -> None:
    """But for the version that it installs."""
    given = files_for_code()[".github/actions/ledger-check/action.yml"]
    own = (ROOT / ".github/actions/ledger-check/action.yml").read_text()
    assert re.sub("swarm-ledger==[0-9.]+\n", "swarm-ledger\n", given) == own
    assert "default: swarm-ledger==0.1.0\n" in given


def test_init_writes_the_workflows_and_puts_one_into_the_ledger(repository: Path, run: Run) -> None:
    """A second time changes nothing; what somebody wrote is left; the ledger is in order with it."""
    done = run("init", "--github")
    assert done.code == 0, done.err
    for path, text in files_for_code().items():
        assert (repository / path).read_text() == text
    with Swarm.open(str(repository)) as swarm:
        version = swarm.store.read(WORKFLOW)
        assert version is not None
        assert b"branches: [swarm-ledger]" in version.text
        tip = swarm.store.tip()
        assert run("init", "--github").code == 0
        assert swarm.store.tip() == tip
    assert run("check").code == 0
    (repository / WORKFLOW).write_text("mine\n")
    assert run("init", "--github").code == 4
    assert (repository / WORKFLOW).read_text() == "mine\n"


@pytest.mark.parametrize("link", [".github", ".github/workflows", WORKFLOW])
def test_init_writes_nothing_behind_a_link(repository: Path, run: Run, tmp_path: Path, link: str) -> None:
    """A repository may have one that leads anywhere."""
    outside = tmp_path / "outside"
    if link != WORKFLOW:
        outside.mkdir()
    (repository / link).parent.mkdir(parents=True, exist_ok=True)
    (repository / link).symlink_to(outside)
    done = run("init", "--github")
    assert (done.code, "is behind a symbolic link, so nothing was written" in done.err) == (4, True)
    assert [path for path in tmp_path.rglob("*.yml") if not path.is_symlink()] == []


def test_a_base_that_is_no_commit_fails_the_check(repository: Path, run: Run, tmp_path: Path) -> None:
    """Whatever an event says it is: no option, no other ref, no command of the runner."""
    served, _ = prepared(repository, run, tmp_path, lambda: (repository / "x").touch())
    with serving(served, []) as url:
        checkout = checked_out(tmp_path, url)
        for number, base in enumerate(("--upload-pack=touch owned", "$(touch owned)", "0" * 40, "x\n::error::y")):
            event = {"pull_request": {"base": {"sha": base}}}
            done = run_action(checkout, tmp_path / f"temp{number}", event, url)
            assert done.returncode not in (0, 1), done.stdout
            assert not any(line.startswith("::") for line in (done.stdout + done.stderr).splitlines())
    assert not (checkout / "owned").exists()


def test_what_agents_wrote_is_no_command_to_the_runner(repository: Path, run: Run, tmp_path: Path) -> None:
    """Not in titles, paths or settings; in the summary it is no markup."""

    def change() -> None:
        (repository / "code.py").write_text(CODE.replace("value + 3", "value + 33").replace("value + 5", "value + 55"))

    served, base = prepared(repository, run, tmp_path, change)
    evil = "x %0A::error::y ##[error]z <img src=x> [l](http://e) @all `q` | b"
    run("--as", "ada", "remember", evil, "--cite", "auth.py:1-2", "--set", "valid_to=2026-01-02T00:00:00Z")
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=repository / ".git/swarm/ledger.git",
        input="none\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    foreign(repository / ".git/swarm/ledger.git", "notes/a\n::stop-commands::b\r\n##[error]c.md", blob)
    run("--as", "ada", "sync", "origin")
    with serving(served, []) as url:
        checkout = checked_out(tmp_path, url)
        done = run_action(checkout, tmp_path / "temp", {"pull_request": {"base": {"sha": base}}}, url)
    assert done.returncode == 1, done.stderr
    lines = (done.stdout + done.stderr).replace("\r", "\n").splitlines()
    assert {line.split(" ")[0] for line in lines[:-1]} == {"::error", "::warning"}
    assert "::" not in lines[-1]
    assert any("x %250A::error::y" in line for line in lines)
    summary = (tmp_path / "temp/summary.md").read_text()
    for markup in ("<img", "[l]", "@all", "`q`", "##[error]"):
        assert markup not in summary
    assert all(line.count("|") == 5 for line in summary.splitlines()[4:])


def foreign(ledger: Path, path: str, blob: str) -> None:
    """A commit of another git that adds a file."""
    index = {**os.environ, "GIT_INDEX_FILE": str(ledger / "an-index")}

    def plumb(*arguments: str, stdin: str = "") -> str:
        command = ["git", "-c", "user.name=u", "-c", "user.email=u@example.invalid", *arguments]
        done = subprocess.run(command, cwd=ledger, env=index, input=stdin, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    plumb("read-tree", "swarm-ledger")
    plumb("update-index", "-z", "--index-info", stdin=f"100644 {blob}\t{path}\0")
    made = plumb("commit-tree", "-p", "swarm-ledger", "-m", "::error::subject", plumb("write-tree"))
    plumb("update-ref", "refs/heads/swarm-ledger", made)


def test_the_workflows_are_valid_and_zizmor_finds_nothing(repository: Path, run: Run, tmp_path: Path) -> None:
    """By GitHub's schemas, those of the user's repository and the one on the ledger's branch too."""
    run("init", "--github")
    ledger = tmp_path / "ledger/.github/workflows"
    ledger.mkdir(parents=True)
    (ledger / "ledger.yml").write_text(run("git", "show", f"swarm-ledger:{WORKFLOW}").out)
    tools = Path(sys.executable).parent
    action = ".github/actions/ledger-check/action.yml"
    for schema, file in (("workflows", WORKFLOW), ("workflows", ledger / "ledger.yml"), ("actions", action)):
        command = [tools / "check-jsonschema", "--builtin-schema", f"vendor.github-{schema}", file]
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    command = [tools / "zizmor", "--offline", "--quiet", repository / ".github", tmp_path / "ledger/.github"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_job_on_the_ledger_branch_checks_what_was_pushed(repository: Path, run: Run, tmp_path: Path) -> None:
    """Its script as it is written, in a clone of that branch."""
    run("--as", "ada", "remember", "Adding is quick", "--cite", "auth.py:1-2")
    run("init", "--github")
    subprocess.run(["git", "clone", "--quiet", repository / ".git/swarm/ledger.git", tmp_path / "clone"], check=True)
    workflow = yaml.safe_load((tmp_path / "clone" / WORKFLOW).read_text())
    step = workflow["jobs"]["ledger"]["steps"][-1]
    home = evaluated(step["env"]["SWARM_HOME"], {"runner": {"temp": tmp_path / "temp"}})
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "SWARM_HOME": home, "HOME": "/"}
    (tmp_path / "step.sh").write_text(step["run"])
    command = ["bash", "-eo", "pipefail", str(tmp_path / "step.sh")]
    done = subprocess.run(command, cwd=tmp_path / "clone", env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1].endswith("0 errors, 0 warnings.")
