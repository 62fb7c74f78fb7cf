"""`swarm recall` with what it may be given, and with an index that is not as it should be."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_indexes import intake

from .conftest import Ran

Run = Callable[..., Ran]


def damage(index: Path, how: str) -> None:
    """What a crash of the machine or a hand leaves."""
    data = index.read_bytes()
    index.write_bytes({"damaged": data[:4096] + bytes(len(data) - 4096), "half": data[: len(data) // 2], "": b""}[how])


@pytest.mark.parametrize("how", ["damaged", "half", ""])
def test_a_damaged_index_is_rebuilt_and_said_so(repository: Path, run: Run, how: str) -> None:
    """The answer is as before, exit code 0, and one line on standard error says what happened, once."""
    run("remember", "--as=ada", "Retry policy of the client", "--body", "It tries ten times. " * 200)
    before = run("recall", "retry policy")
    damage(repository / ".git/swarm/index/lexical.db", how)
    after = run("recall", "retry policy")
    assert (after.code, after.out) == (0, before.out)
    assert after.err.splitlines()[0] == (
        "swarm: the search index was damaged or of another version; it has been built anew, and nothing is missing."
    )
    assert run("recall", "retry policy").err == ""


def test_a_long_build_is_shown_on_a_terminal(repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar on standard error while many files are taken in, gone at the end; elsewhere nothing."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for number in range(7):
        run("remember", "--as=ada", f"Fact {number} of its own kind", "--force", "--why=a test")
    monkeypatch.setattr(intake, "BULK", 2)
    assert run("reindex").err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("reindex").out == "7 entries indexed.\n"
    assert "indexing [" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
