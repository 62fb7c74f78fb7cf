"""Anchors: what is kept of cited lines, and what counts as the same text."""

from __future__ import annotations

import random

from swarm.anchor import Text, anchor_of, fields_of, loosely, marks_of, read_anchor, split_lines


def test_a_mark_is_that_of_the_words_of_a_line() -> None:
    """White space around and between them changes nothing; a blank line has the mark 0."""
    marks = marks_of([b"  a  = b", b"a = b", b"\ta = b ", b"a=b", b"", b"   "])
    assert len(set(marks[:3])) == 1
    assert marks[3] != marks[0]
    assert list(marks[4:]) == [0, 0]


def test_lines_end_in_lf_or_crlf() -> None:
    """Other separators are part of a line; the last may have none."""
    assert split_lines(b"a\r\nb\x0bc\nd") == [b"a", b"b\x0bc", b"d"]
    assert split_lines(b"a\n\n") == [b"a", b""]


def test_in_python_only_the_shared_indentation_may_differ() -> None:
    """A line that is further in than before is another text."""
    assert loosely("x.py", [b"    if a:", b"", b"        b = 1"]) == [b"if a:", b"", b"    b = 1"]
    assert loosely("x.py", [b"\tif a:", b"  ", b"\t    b = 1"]) == [b"if a:", b"", b"    b = 1"]
    assert loosely("x.py", [b"if a:", b"b = 1"]) != loosely("x.py", [b"if a:", b"    b = 1"])
    assert loosely("x.py", [b"a  = 1"]) == [b"a  = 1"]


def test_in_c_white_space_may_differ_but_not_in_quotations() -> None:
    """Where a text of several lines may begin, white space is left as it is."""
    assert loosely("x.c", [b"if (a)", b"", b"  { b  =  1; }"]) == [b"if (a)", b"{ b = 1; }"]
    assert loosely("x.js", [b'  say("a  b") ']) == [b'say("a  b")']
    assert loosely("x.js", [b"  x = `a", b"   b`"]) == [b"x = `a", b" b`"]


def test_an_anchor_comes_back_from_the_fields_of_a_citation() -> None:
    """Whatever the text is."""
    rng = random.Random(5)
    for _ in range(200):
        lines = [b" " * rng.randrange(9) + b"w%d" % rng.randrange(9) * rng.randrange(2) for _ in range(40)] + [b"end"]
        first = rng.randint(1, 41)
        anchor = anchor_of("a/b.py", Text(b"", lines), first, rng.randint(first, 41), rng.randrange(4))
        anchor = anchor._replace(rival_here=0.25, rival_away=1.5, twins=(1, 2))
        if anchor.span:
            assert read_anchor(fields_of(anchor)) == anchor


def test_an_old_citation_has_no_marks() -> None:
    """Path, lines and hash are enough; what is malformed is none."""
    plain: dict[str, object] = {"path": "a.py", "lines": [2, 3], "sha256": "0" * 64}
    found = read_anchor(plain)
    assert found is not None
    assert (found.path, found.first, found.last, found.span, found.copies) == ("a.py", 2, 3, (), 0)
    assert read_anchor({**plain, "marks": "no marks"}) == found
    assert read_anchor({**plain, "lines": [3, 2]}) is None
    assert read_anchor({**plain, "lines": ["2", "3"]}) is None
    assert read_anchor({"url": "https://example.invalid/"}) is None


def test_the_scope_of_a_line_is_what_it_is_indented_under() -> None:
    """The innermost first, blank lines aside."""
    text = Text(b"class A:\n    x = 1\n\n    def f(self):\n        if x:\n\n            y()\n")
    assert text.scope(7) == (text.marks[4], text.marks[3], text.marks[0])
    assert text.scope(1) == ()
