"""What a text mentions."""

from __future__ import annotations

import time

import pytest

from swarm_indexes.mentions import mentioned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see src/auth/session.py, and auth.py.", ["src/auth/session.py", "auth.py"]),
        ("fixes #12 and #13x", ["#12"]),
        ("thanks @backend-2, not me@example.org", ["@backend-2"]),
        ("since 1f3c9d2 it holds; 1234567 and defaced do not count", ["1f3c9d2"]),
        ("README.md twice: README.md", ["readme.md"]),
        ("nothing here. At all", []),
        ("and/or", ["and/or"]),
    ],
)
def test_mentions_are_paths_issues_agents_and_commits(text: str, expected: list[str]) -> None:
    """Each once, in lower case; a full stop, an address and a plain number are none."""
    assert mentioned(text) == expected


@pytest.mark.parametrize(
    "text", ["a" * 500_000, "a/" * 250_000, "." * 500_000, "a." * 250_000, "@" * 500_000, "-a" * 250_000]
)
def test_half_a_megabyte_is_read_in_linear_time(text: str) -> None:
    """No text makes the search for mentions go back over itself."""
    began = time.perf_counter()
    mentioned(text)
    assert time.perf_counter() - began < 2
