"""Lines, and whether two of them meet: held against a slow version that tries every path."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_ledger.errors import BadInput
from swarm_ledger.lines import Line, covers, head, overlap, parse_line

NAMES = ["".join(name) for n in (1, 2, 3) for name in itertools.product("ab", repeat=n)]
PATHS = ["/".join(path) for n in (1, 2, 3, 4) for path in itertools.product(NAMES[:6], repeat=n)] + NAMES
PIECES = st.sampled_from(["**", "*", "?", "a", "b", "ab", "a*", "*b", "?b", "a?", "*a*"])
GLOBS = st.lists(PIECES, min_size=1, max_size=3)
SHORT = st.lists(PIECES, min_size=1, max_size=2)


def slow_covers(glob: str, path: str) -> bool:
    """A glob as one regular expression over a path that ends in a slash."""
    names = glob.split("/")
    if "*" not in names[-1] and "?" not in names[-1]:
        names.append("**")
    parts = [
        "(?:[^/]+/)*" if name == "**" else re.escape(name).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "/"
        for name in names
    ]
    return re.fullmatch("".join(parts), path + "/") is not None


def line(names: list[str]) -> Line | None:
    try:
        return parse_line("path:" + "/".join(names))
    except BadInput:  # of the whole repository
        return None


@given(SHORT, SHORT)
def test_two_globs_overlap_when_some_path_is_in_both(left: list[str], right: list[str]) -> None:
    """The product of automata says what trying every path says."""
    a, b = line(left), line(right)
    if a and b:
        both = [path for path in PATHS if slow_covers(a[5:], path) and slow_covers(b[5:], path)]
        assert overlap(a, b) == overlap(b, a) == bool(both)


@given(GLOBS, GLOBS)
def test_of_two_globs_that_overlap_one_head_begins_with_the_other(left: list[str], right: list[str]) -> None:
    """So a directory may leave out all other leases before it looks closely."""
    a, b = line(left), line(right)
    if a and b and overlap(a, b):
        assert head(a).startswith(head(b)) or head(b).startswith(head(a))


@given(GLOBS, st.sampled_from(PATHS))
def test_a_glob_covers_what_its_regular_expression_matches(names: list[str], path: str) -> None:
    """Matching by states and by a regular expression agree."""
    one = line(names)
    if one:
        assert covers(one, path) == slow_covers(one[5:], path)


def test_a_glob_of_many_stars_is_matched_in_no_time() -> None:
    """Forty stars against a name of two hundred characters; to try each place for each star would take for ever."""
    many = Line("path:" + "*a" * 40 + "b")
    began = time.process_time()
    assert not covers(many, "a" * 200) and covers(many, "a" * 200 + "b")
    assert time.process_time() - began < 1


@given(GLOBS)
def test_what_is_refused_as_everything_is_just_what_covers_every_path(names: list[str]) -> None:
    """A glob is refused exactly when no path is outside of it."""
    assert (line(names) is None) == all(slow_covers("/".join(names), path) for path in PATHS)


@pytest.mark.parametrize(
    ("left", "right", "meets"),
    [
        ("path:src/auth/**", "path:src/auth/login.py", True),
        ("path:src/auth", "path:src/auth/login.py", True),
        ("path:src/auth", "path:src/authority.py", False),
        ("path:src/*.py", "path:src/a/b.py", False),
        ("path:src/*_test.py", "path:src/test_*.py", True),
        ("path:src/*.py", "path:src/*.pyi", False),
        ("path:**/*.md", "path:docs/**", True),
        ("path:app/[id]/page.tsx", "path:app/i/page.tsx", False),
        ("task-261121-7k3q9m2x", "task-261121-7k3q9m2x", True),
        ("task-261121-7k3q9m2x", "path:src", False),
    ],
)
def test_overlaps_of_everyday_lines(left: str, right: str, meets: bool) -> None:
    """Directories, suffixes, brackets in names, documents."""
    assert overlap(parse_line(left), parse_line(right)) is meets


def test_spellings_of_one_line_are_one_line() -> None:
    """Slashes that say nothing go; a glob with a slash at its end is what is under it."""
    assert parse_line("path:./src//auth/") == "path:src/auth"
    assert parse_line("path:src/*/") == "path:src/*/**"
    assert parse_line("path:src/**/**/x") == "path:src/**/x"


@pytest.mark.parametrize(
    "text",
    [
        *("path:", "path:**", "path:*/**", "path:**/*", "path:./", "path:/src", "path:../x", "path:a\nb", "path:a\\b"),
        *("src/auth", "log-261121-7k3q9m2x", "tombstone-261121-7k3q9m2x", "nonsense", "", "path:" + "a" * 500),
    ],
)
def test_what_cannot_be_owned_is_refused(text: str) -> None:
    """The whole repository, paths outside of it, what is no id, what never changes."""
    with pytest.raises(BadInput):
        parse_line(text)
