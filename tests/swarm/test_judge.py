"""Verdicts on cited lines, from the files of one tree alone."""

from __future__ import annotations

import pytest

from swarm.anchor import Anchor, Text, anchor_of
from swarm.judge import Judgement, in_place, judge, settle

CODE = """\
import os


def first(value):
    total = value + 1
    return total


def second(value):
    result = value * 2
    check(result)
    return result


def third(value):
    print(value)
    return os.sep
"""
PATH = "pkg/a.py"


def anchored(first: int, last: int, code: str = CODE, path: str = PATH, **others: str) -> Anchor:
    """The anchor of lines of `code`, in a tree with `others` beside it."""
    text = Text(code.encode())
    files = [(name, Text(other.encode())) for name, other in others.items()]
    return settle(anchor_of(path, text, first, last), text, files)


def verdict(anchor: Anchor, now: str | None, **others: str) -> Judgement:
    """The verdict on it, with the file as it is `now`."""
    own = None if now is None else Text(now.encode())
    assert own is None or not in_place(anchor, own)
    return judge(anchor, own, [(name, Text(other.encode())) for name, other in others.items()])


def lines(said: Judgement) -> tuple[str, str, int, int]:
    """Verdict and place."""
    assert said.place is not None
    return (said.verdict, said.place.path, said.place.first, said.place.last)


def test_lines_added_above_move_it() -> None:
    """It is found where it is now."""
    assert lines(verdict(anchored(9, 12), "import sys\n\n" + CODE)) == ("moved", PATH, 11, 14)


def test_line_ends_do_not_count() -> None:
    """A file that became CRLF has the same text."""
    assert in_place(anchored(9, 12), Text(CODE.replace("\n", "\r\n").encode()))


def test_a_renamed_file_is_followed() -> None:
    """With something else added at its top, too."""
    said = verdict(anchored(9, 12), None, **{"pkg/b.py": "# new\n" + CODE})
    assert lines(said) == ("moved", "pkg/b.py", 10, 13)


def test_a_block_that_moved_in_its_file_or_to_another_is_followed() -> None:
    """Whatever stands around it there."""
    block = "".join(CODE.splitlines(keepends=True)[8:12])
    rest = CODE.replace(block, "")
    assert lines(verdict(anchored(9, 12), rest + "\n\n" + block)) == ("moved", PATH, 16, 19)
    assert lines(verdict(anchored(9, 12), rest, other="x = 1\n" + block)) == ("moved", "other", 2, 5)


def test_indented_as_a_whole_block_it_moved() -> None:
    """The same with what is around it, under a new line."""
    now = CODE.replace("    result", "        result").replace("    check", "        check")
    now = now.replace("return result", "    return result").replace("def second", "if x:\n    def second")
    assert lines(verdict(anchored(9, 12), now)) == ("moved", PATH, 10, 13)


def test_in_python_other_changes_of_white_space_are_changes() -> None:
    """One line further in, or a space less, is another text."""
    for now in (CODE.replace("    check", "        check"), CODE.replace("value * 2", "value*2")):
        assert lines(verdict(anchored(9, 12), now)) == ("changed", PATH, 9, 12)


def test_in_c_white_space_does_not_count() -> None:
    """A formatter may do what it likes to it, but not to words."""
    code = "int f(int a)\n{\n  int b = a + 1;\n  return b;\n}\n"
    anchor = anchored(1, 5, code, "f.c")
    said = verdict(anchor, "int f(int a)\n\n{\n\tint  b = a + 1;\n\treturn b;\n}\n")
    assert lines(said) == ("moved", "f.c", 1, 6)
    assert verdict(anchor, code.replace("a + 1", "a + 2")).verdict == "changed"


def test_an_edit_inside_is_a_change_and_its_place_is_named() -> None:
    """As many lines as it has now."""
    now = "# head\n" + CODE.replace("    check(result)\n", "    check(result)\n    check(2)\n")
    assert lines(verdict(anchored(9, 12), now)) == ("changed", PATH, 10, 14)


def test_a_line_that_was_rewritten_is_found_between_its_neighbours() -> None:
    """Nothing of the text is left, but what stood around it is."""
    now = CODE.replace("result = value * 2", "doubled = twice(value)")
    assert lines(verdict(anchored(10, 10), now)) == ("changed", PATH, 10, 10)


def test_what_was_taken_out_is_gone() -> None:
    """So is what was in a file that is no more."""
    block = "".join(CODE.splitlines(keepends=True)[8:14])
    assert verdict(anchored(9, 12), CODE.replace(block, "")).verdict == "gone"
    assert verdict(anchored(9, 12), None).verdict == "gone"


def test_a_file_that_was_renamed_and_edited_has_it_changed() -> None:
    """Most of its lines are in another file."""
    now = CODE.replace("check(result)", "check(result, True)")
    assert lines(verdict(anchored(9, 12), None, other=now)) == ("changed", "other", 9, 12)


def test_a_copy_that_was_there_before_is_not_taken_for_it() -> None:
    """The original is gone; its twin is not what was cited."""
    block = "".join(CODE.splitlines(keepends=True)[8:14])
    twin = "y = 1\n" + block + "z = 2\n"
    anchor = anchored(9, 12, twin=twin)
    assert anchor.copies == 2
    assert verdict(anchor, CODE.replace(block, ""), twin=twin).verdict == "gone"


def test_a_copy_made_later_is_not_taken_for_it_when_the_original_was_edited() -> None:
    """It was changed where it was."""
    now = CODE.replace("check(result)", "check(None)")
    assert lines(verdict(anchored(9, 12), now, copy=CODE)) == ("changed", PATH, 9, 12)


def test_surroundings_tell_copies_in_one_file_apart() -> None:
    """Each is found with its own."""
    code = "".join(f"def f{n}():\n    a = {n}\n    return None\n    # end\n\n" for n in range(6))
    for n in range(6):
        anchor = anchored(5 * n + 3, 5 * n + 4, code)
        assert anchor.copies == 6
        assert lines(verdict(anchor, "x = 1\n" + code)) == ("moved", PATH, 5 * n + 4, 5 * n + 5)


def test_where_nothing_tells_copies_apart_none_is_called_moved() -> None:
    """A text of which nothing around is left, in two places."""
    block = "".join(CODE.splitlines(keepends=True)[8:12])
    said = verdict(anchored(9, 12), None, one="p = 1\n" + block, two="q = 2\n" + block)
    assert (said.verdict, said.place) == ("changed", None)
    assert "stands in 2 places" in said.why


def test_a_citation_without_marks_is_looked_for_in_its_file() -> None:
    """By its hash alone."""
    plain = anchored(9, 12)._replace(span=(), before=(), after=(), scope=(), copies=0, loose="")
    assert lines(verdict(plain, "import sys\n" + CODE)) == ("moved", PATH, 10, 13)
    assert verdict(plain, "nothing = 1\n").verdict == "gone"


@pytest.mark.parametrize("first", range(1, 17))
def test_every_span_of_a_file_that_lost_its_first_line_is_found(first: int) -> None:
    """Blank lines at its ends included."""
    for last in range(first, 17):
        if not CODE.splitlines()[first - 1 : last] or not "".join(CODE.splitlines()[first - 1 : last]).strip():
            continue
        anchor = anchored(first, last)
        if first > 1:
            assert lines(verdict(anchor, CODE.partition("\n")[2])) == ("moved", PATH, first - 1, last - 1)


def test_a_few_common_lines_elsewhere_are_nothing_of_it() -> None:
    """A bracket here and a decorator there do not make another part of the file the span, changed."""
    gone = "@property\ndef words(self):\n    warnings.warn(\n        self.message,\n    )\n    return self.text\n"
    before = "".join(f"value_{number} = {number}\n" for number in range(12))
    now = "".join(f"@property\ndef other_{number}(self):\n    return call(\n    )\n\n" for number in range(9))
    assert verdict(anchored(13, 18, before + gone + before.replace("value", "name")), now) == Judgement(
        "gone", None, "nothing of it is left"
    )
