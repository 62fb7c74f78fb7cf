"""YAML 1.2 as front matter uses it: what is read, what is written, what is refused."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from swarm_ledger.emitter import json_line
from swarm_ledger.errors import BadInput
from swarm_ledger.yaml12 import dump, load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nULL", "nULL")),
        *(("true", True), ("True", True), ("FALSE", False), ("tRUE", "tRUE")),
        *(("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("N", "N")),
        *(("0", 0), ("-7", -7), ("+7", 7), ("0755", 755), ("0o755", 493), ("0xFf", 255), ("-0x1", "-0x1")),
        *(("22:22", "22:22"), ("1_000", "1_000"), ("0b11", "0b11"), ("12e03", 12000.0), ("1e3", 1000.0)),
        *(("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-1E-2", -0.01), (".", "."), ("+", "+"), ("-.", "-.")),
        *(("1.2.3", "1.2.3"), ("1e", "1e")),
        *((".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"), ("-.nan", "-.nan")),
        *(("2026-11-21", "2026-11-21"), ("2026-11-21T10:54:03Z", "2026-11-21T10:54:03Z"), ("=", "="), ("<<", "<<")),
        *(("'5'", "5"), ('"null"', "null"), ('"\\u00e9\\n"', "é\n"), ("|-\n  5\n  6", "5\n6"), (">-\n  a\n  b", "a b")),
        *(("[1, a, [~]]", [1, "a", [None]]), ("{a: 1, b: {c: no}}", {"a": 1, "b": {"c": "no"}}),
          ("\n- 1\n- x: 2", [1, {"x": 2}])),
        *(("a # comment", "a"), ("a#b", "a#b"), ("1 2", "1 2"), ("1" * 30, int("1" * 30))),
    ],
)  # fmt: skip
def test_core_schema(text: str, value: object) -> None:
    """Bare scalars are read by the core schema of YAML 1.2; quoted ones are always text."""
    read = load(f"x: {text}\n")["x"]
    assert read == value
    assert type(read) is type(value)


def test_not_a_number() -> None:
    """`.nan` is the float that equals nothing."""
    assert math.isnan(load("x: .nan")["x"])  # type: ignore[arg-type]


def test_nothing_is_no_fields() -> None:
    """Empty text and comments alone hold no fields."""
    assert load("") == {}
    assert load("# only a comment\n\n") == {}


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "line 2: 'a' is there twice"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "line 5: 'c' is there twice"),
        ("a: 1\n'a': 2\n", "line 2: 'a' is there twice"),
        ("a: 1\nb: {c: 1, c: 2}\n", "line 2: 'c' is there twice"),
        ("a: &x 1\n", "line 1: anchors"),
        ("a: 1\nb: &x [1]\n", "line 2: anchors"),
        ("b: &x {c: 1}\n", "line 1: anchors"),
        ("a: *x\n", "line 1: aliases"),
        ("*x : 1\n", "line 1: field names must be text"),
        ("a: 1\nb: [*x]\n", "line 2: aliases"),
        (LAUGHS, "line 1: anchors"),
        ("a: !!str 1\n", "line 1: tags"),
        ("a: !x 1\n", "line 1: tags"),
        ("a: ! 1\n", "line 1: tags"),
        ("a: !!python/object/apply:os.system [id]\n", "line 1: tags"),
        ("!!map {a: 1}\n", "line 1: tags"),
        ("a: !!binary aGk=\n", "line 1: tags"),
        ("1: a\n", "line 1: field names must be text"),
        ("a: 1\ntrue: a\n", "line 2: field names must be text"),
        ("~: a\n", "line 1: field names must be text"),
        (": a\n", "line 1: did not find expected key"),
        ("[a]: b\n", "line 1: field names must be text"),
        ("? {a: 1}\n: b\n", "line 1: field names must be text"),
        ("- a\n- b\n", "line 1: front matter must be lines of `name: value`"),
        ("just text\n", "line 1: front matter must be lines of `name: value`"),
        ("a: 1\n--- \nb: 2\n", "further `---`"),
        ("--- \na: 1\n", "further `---`"),
        ("a: 1\n...\n", r"`\.\.\.` does not belong"),
        ("%YAML 1.1\n--- \na: 1\n", "line 1: directives"),
        ("a: [1, 2\nb: 3\n", "line [23]: "),
        ("a: 'x\n", "line [12]: "),
        ("a: b: c\n", "line 1: mapping values are not allowed"),
        ("a: 1\n\tb: 2\n", "line 2: "),
        ("a: @x\n", "line 1: "),
        ("a: \x01\n", "control characters are not allowed"),
        ("a: \x00\n", "control characters are not allowed"),
        ("a: \ud800\n", "surrogate"),
        ('a: "\\ud800"\n', "line 1: "),
        ("a: " + "9" * 5000 + "\n", "line 1: a number of over 4,300 digits"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """What is broken, ambiguous or could grow is refused, with its line named."""
    with pytest.raises(BadInput, match=message) as refused:
        load(text)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 250


def test_lines_count_from_where_the_text_stands() -> None:
    """A caller whose text begins further down gets its own line numbers."""
    with pytest.raises(BadInput, match="line 3: 'a' is there twice"):
        load("a: 1\na: 2\n", first_line=2)


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_depth(opening: str) -> None:
    """Twenty levels are read, the top mapping included; one more is refused, and so are thousands, at once."""
    closing = "]" if opening == "[" else "}"
    assert load("a: " + opening * 19 + closing * 19)
    with pytest.raises(BadInput, match="line 1: nested deeper than 20 levels"):
        load("a: " + opening * 20 + closing * 20)
    began = time.monotonic()
    with pytest.raises(BadInput):
        load("a: " + opening * 15_000)
    assert time.monotonic() - began < 5


def test_size() -> None:
    """64 KiB are read, counted in UTF-8; more is refused before it is looked at."""
    assert load("a: " + "x" * (65536 - 3))
    for text in ("a: " + "x" * (65536 - 2), "a: " + "é" * 32767, "a: " + "x" * 50_000_000):
        with pytest.raises(BadInput, match="over 64 KiB"):
            load(text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"title": "Tokens expire after 3 days"}, "title: Tokens expire after 3 days\n"),
        ({"title": "Auth: why"}, 'title: "Auth: why"\n'),
        ({"title": "a, b"}, "title: a, b\n"),
        ({"title": "don't #5 (a/b)"}, 'title: "don\'t #5 (a/b)"\n'),
        ({"title": "Größe 5"}, "title: Größe 5\n"),
        ({"title": "🐝 hive"}, 'title: "🐝 hive"\n'),
        ({"at": "2026-11-21T10:54:03Z"}, "at: 2026-11-21T10:54:03Z\n"),
        ({"a": "2026-11-21", "b": "22:22", "c": "0755"}, 'a: "2026-11-21"\nb: "22:22"\nc: "0755"\n'),
        ({"a": "no", "b": "Yes", "c": "~", "d": "null", "e": ""}, 'a: "no"\nb: "Yes"\nc: "~"\nd: "null"\ne: ""\n'),
        ({"a": "1e3", "b": "1_0", "c": "0x1F", "d": ".5"}, 'a: "1e3"\nb: "1_0"\nc: "0x1F"\nd: ".5"\n'),
        ({"a": None, "b": True, "c": -1, "d": 1.5, "e": 1e300}, "a: null\nb: true\nc: -1\nd: 1.5\ne: 1.0e+300\n"),
        ({"a": math.inf, "b": -math.inf}, "a: .inf\nb: -.inf\n"),
        ({"a": "x\ny\t\x1b"}, 'a: "x\\ny\\t\\u001b"\n'),
        ({"a": "x\u2028\x85\ufeff\u202ey"}, 'a: "x\\u2028\\u0085\\ufeff\\u202ey"\n'),
        ({"a": [], "b": {}, "c": ["x", 1, "a, b"]}, 'a: []\nb: {}\nc: [x, 1, "a, b"]\n'),
        ({"no": 1, "a b": 2, "a:": 3}, '"no": 1\na b: 2\n"a:": 3\n'),
        (
            {"citations": [{"path": "src/a.py", "lines": [3, 9]}, {"url": "https://x.example/a?b=c#d"}]},
            "citations:\n  - path: src/a.py\n    lines: [3, 9]\n  - url: https://x.example/a?b=c#d\n",
        ),
        ({"a": {"b": {"c": [1]}}}, "a:\n  b:\n    c: [1]\n"),
        ({"a": ["word " * 12 + "end"] * 2}, "a:\n" + ("  - " + "word " * 12 + "end\n") * 2),
    ],
)
def test_dump(fields: dict[str, object], text: str) -> None:
    """Text stands bare where nobody can take it for anything else; short lists stand on one line."""
    assert dump(fields) == text
    assert load(text) == fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a": "\ud800"}, "half of a surrogate pair"),
        ({"\ud800": 1}, "half of a surrogate pair"),
        ({1: "a"}, "field names are text, not int"),
        ({"a": {None: 1}}, "field names are text, not NoneType"),
        ({"a": object()}, "not object"),
        ({"a": [b"x"]}, "not bytes"),
        ({"k" * 257: 1}, "longer than 256"),
        ({"a": "x" * 65536}, "over 64 KiB"),
        ({"a": 10**5000}, "4,300 digits"),
    ],
)
def test_dump_refuses(fields: dict[Any, object], message: str) -> None:
    """What YAML cannot hold, or a reader would refuse, is not written."""
    with pytest.raises(BadInput, match=message):
        dump(fields)


def test_dump_and_load_agree_on_depth() -> None:
    """What nests 20 deep is written and read; 21 is refused by both; a list within itself is refused too."""
    value: object = 1
    for _ in range(19):
        value = [value]
    assert load(dump({"a": value})) == {"a": value}
    for deep in ([value], {"b": value}):
        with pytest.raises(BadInput, match="deeper than 20"):
            dump({"a": deep})
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(BadInput, match="deeper than 20"):
        dump({"a": endless})
    with pytest.raises(BadInput, match="deeper than 20"):
        json_line(endless)


ODD = [
    "no",
    "0755",
    "22:22",
    "1e3",
    "2026-11-21",
    "~",
    "null",
    "",
    " x",
    "x ",
    "a\nb",
    "a\r\nb\n",
    "🐝",
    "é",
    "- x",
    "#",
]
odd = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=12),
    st.text(alphabet="01.:_-+eExXaob nyNY~#,[]{}&*!|>'\"%@`?=<\\\t\n", max_size=8),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), odd)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(odd, values, max_size=6))
@example({text: text for text in ODD})
@example({"a": ODD, "b": [[text] for text in ODD], "c": [{text: {text: [text]}} for text in ODD]})
def test_round_trip(fields: dict[str, object]) -> None:
    """Whatever is written is read back the same, types and order included."""
    assert repr(load(dump(fields))) == repr(fields)


@given(st.dictionaries(odd, values, max_size=6))
def test_any_reader_reads_the_same(fields: dict[str, object]) -> None:
    """A reader of YAML 1.1 reads the same data, timestamps apart: nothing rests on which version it knows."""

    class Reader(yaml.CSafeLoader):
        pass

    Reader.add_constructor("tag:yaml.org,2002:timestamp", lambda self, node: node.value)
    assert repr(yaml.load(dump(fields), Reader) or {}) == repr(fields)


@given(values)
def test_json_lines_are_yaml(value: object) -> None:
    """One line of JSON, which YAML reads as the same data."""
    try:
        line = json_line({"a": value})
    except BadInput as refused:
        assert "infinite" in str(refused)
        return
    assert "\n" not in line
    assert repr(load(line)) == repr({"a": value})


@given(st.text(max_size=80) | st.text(alphabet="ab:-#\n \t'\"[]{},&*!|>%0", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, the outcome is fields or BadInput, in one printable line."""
    try:
        fields = load(text)
    except BadInput as refused:
        assert str(refused).isprintable()
    else:
        assert repr(load(dump(fields))) == repr(fields)
