"""Names of entries, agents and requests, and paths."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_ledger import ids
from swarm_ledger.errors import BadInput

AT = datetime(2026, 11, 21, 10, 54, 3, tzinfo=UTC)
DATED = ("task", "log", "fact", "reflection", "contested", "tombstone")
HOSTILE = [
    "../x",
    "..",
    "a/../b",
    "/etc/passwd",
    "-rf",
    "--help",
    "a\nb",
    "a\n",
    "a\x1b[31mb",
    "a\x00b",
    "🐝",
    "bee🐝",
    "a b",
    "a\u202eb",
    "\ud800",
    "٣",
    "ａ",
    "",
]


@pytest.mark.parametrize("kind", DATED)
def test_new_id(kind: str) -> None:
    """A fresh id carries its kind, its day and eight characters of base32."""
    id = ids.new_id(kind, AT, random.Random(7))
    assert id.startswith(f"{kind}-261121-")
    assert len(id) == len(kind) + 16
    assert set(id[-8:]) <= set("0123456789abcdefghjkmnpqrstvwxyz")
    assert ids.kind_of(id) == kind


def test_new_id_is_a_function_of_its_arguments() -> None:
    """The same time and randomness give the same id; randomness that goes on gives another."""
    rng = random.Random(1)
    first, second = ids.new_id("fact", AT, rng), ids.new_id("fact", AT, rng)
    assert first != second
    assert first == ids.new_id("fact", AT, random.Random(1))


def test_new_id_takes_the_day_in_utc() -> None:
    """Half past midnight in Berlin is still the day before in an id."""
    at = datetime(2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert ids.new_id("fact", at, random.Random(1)).startswith("fact-261121-")


@pytest.mark.parametrize(
    ("kind", "at", "message"),
    [
        ("plan", AT, "no dated ids"),
        ("entity", AT, "no dated ids"),
        ("memo", AT, "'memo' has no dated ids"),
        ("fact", AT.replace(tzinfo=None), "time zone"),
        ("fact", AT.replace(year=1999), "2000 to 2099, not 1999"),
        ("fact", AT.replace(year=2100), "2000 to 2099, not 2100"),
    ],
)
def test_new_id_refuses(kind: str, at: datetime, message: str) -> None:
    """A kind without dated ids, a time without a zone and a year that does not fit are refused."""
    with pytest.raises(BadInput, match=message):
        ids.new_id(kind, at, random.Random(1))


def test_new_request() -> None:
    """The name of a request is 16 characters of base32."""
    name = ids.new_request(random.Random(3))
    assert len(name) == 16
    assert set(name) <= set(ids.ALPHABET)
    assert name != ids.new_request(random.Random(4))


@pytest.mark.parametrize(
    ("id", "kind", "path"),
    [
        ("fact-261121-7k3q9m2x", "fact", "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"),
        ("task-261121-ak3q9m2x", "task", "plan/tasks/2026/11/21/a/task-261121-ak3q9m2x.md"),
        ("reflection-260101-00000000", "reflection", "reflections/2026/01/01/0/reflection-260101-00000000.md"),
        ("contested-261121-zzzzzzzz", "contested", "contested/2026/11/21/z/contested-261121-zzzzzzzz.md"),
        ("tombstone-240229-7k3q9m2x", "tombstone", "tombstones/2024/02/29/7/tombstone-240229-7k3q9m2x.md"),
        ("plan-launch", "plan", "plan/launch.md"),
        ("plan-q4-launch-2", "plan", "plan/q4-launch-2.md"),
        ("plan-tasks", "plan", "plan/tasks.md"),
        ("entity-file-auth", "entity", "entities/file/auth.md"),
        ("entity-person-anna-lee", "entity", "entities/person/anna-lee.md"),
    ],
)
def test_path_of(id: str, kind: str, path: str) -> None:
    """A path follows from the id alone, and the id from the path."""
    assert ids.kind_of(id) == kind
    assert ids.path_of(id) == path
    assert ids.id_of(path) == id


def test_a_log_section_has_no_path_of_its_own() -> None:
    """The id of a section tells its day; the message says where to look."""
    assert ids.kind_of("log-261121-7k3q9m2x") == "log"
    assert ids.log_day("log-261121-7k3q9m2x") == date(2026, 11, 21)
    with pytest.raises(BadInput, match="look in log/2026/11/21/<agent>/"):
        ids.path_of("log-261121-7k3q9m2x")


@pytest.mark.parametrize("id", ["fact-261121-7k3q9m2x", "log-261131-7k3q9m2x", "plan-launch", "log", ""])
def test_log_day_refuses_other_ids(id: str) -> None:
    """Only an id of a log section tells the day of a log."""
    with pytest.raises(BadInput, match="no id of a log section"):
        ids.log_day(id)


MALFORMED = [
    *HOSTILE,
    "fact",
    "fact-261121",
    "fact-261121-7k3q9m2",
    "fact-261121-7k3q9m2xx",
    "fact-261121-7k3q9m2l",
    "fact-261121-7K3Q9M2X",
    "fact-261321-7k3q9m2x",
    "fact-260230-7k3q9m2x",
    "fact-261121-7k3q9m2x\n",
    "fact-261121-7k3q9m2x/../../x",
    "-fact-261121-7k3q9m2x",
    "memo-261121-7k3q9m2x",
    "plan-",
    "plan--a",
    "plan-a--b",
    "plan-a-",
    "plan-../x",
    "plan-" + "a" * 81,
    "entity-file",
    "entity-file-",
    "entity--auth",
    "entity-file-../x",
    "entity-" + "t" * 41 + "-x",
    "entity-file-" + "a" * 81,
]


@pytest.mark.parametrize("id", MALFORMED)
def test_a_malformed_id_is_refused(id: str) -> None:
    """What is no id has neither kind nor path, and its control characters are not repeated."""
    for function in (ids.kind_of, ids.path_of):
        with pytest.raises(BadInput, match="is no entry id") as refused:
            function(id)
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 250


@pytest.mark.parametrize(
    "path",
    [
        "",
        "swarm.yaml",
        "log/2026/11/21/backend-2/0000.md",
        "facts/2026/11/21/8/fact-261121-7k3q9m2x.md",
        "facts/2026/11/22/7/fact-261121-7k3q9m2x.md",
        "facts/2026/11/21/7/task-261121-7k3q9m2x.md",
        "facts/2026/11/21/7/log-261121-7k3q9m2x.md",
        "facts/2026/11/21/7/fact-261121-7k3q9m2x.txt",
        "facts/2026/11/21/7/fact-261121-7k3q9m2x.md\n",
        "/facts/2026/11/21/7/fact-261121-7k3q9m2x.md",
        "x/facts/2026/11/21/7/fact-261121-7k3q9m2x.md",
        "facts/../plan/launch.md",
        "plan/Launch.md",
        "plan/-launch.md",
        "plan/tasks/launch.md",
        "entities/auth.md",
        "entities/file/a/b.md",
    ],
)
def test_a_path_where_no_entry_lies_has_no_id(path: str) -> None:
    """A misplaced file, a log and anything else is no entry."""
    assert ids.id_of(path) is None


@given(st.text(max_size=60))
def test_id_of_inverts_path_of_only(text: str) -> None:
    """Whatever the path, the id found for it leads back to it."""
    for path in (text, f"plan/{text}.md", f"entities/{text}.md", f"facts/2026/11/21/7/{text}.md"):
        id = ids.id_of(path)
        assert id is None or ids.path_of(id) == path


@given(st.sampled_from(["fact", "task", "tombstone"]), st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_every_new_id_has_a_path(kind: str, at: datetime) -> None:
    """A fresh id of any day leads to a path and back."""
    id = ids.new_id(kind, at.replace(tzinfo=UTC), random.Random(5))
    assert ids.id_of(ids.path_of(id)) == id


def test_tombstone_id() -> None:
    """A tombstone bears date and random part of what it buries; where there is none, its own."""
    rng = random.Random(1)
    assert ids.tombstone_id(ids.EntryId("fact-240101-7k3q9m2x"), AT, rng) == "tombstone-240101-7k3q9m2x"
    assert ids.tombstone_id(ids.EntryId("plan-launch"), AT, rng).startswith("tombstone-261121-")
    assert ids.tombstone_id(ids.EntryId("tombstone-240101-7k3q9m2x"), AT, rng).startswith("tombstone-261121-")
    with pytest.raises(BadInput):
        ids.tombstone_id(ids.EntryId("../x"), AT, rng)


def test_plan_and_entity_ids() -> None:
    """Plans and entities are named by their slugs."""
    assert ids.plan_id("launch") == "plan-launch"
    assert ids.entity_id("file", "auth-py") == "entity-file-auth-py"


@pytest.mark.parametrize("slug", [*HOSTILE, "A", "a-", "-a", "a--b", "a_b", "a" * 81])
def test_bad_slugs(slug: str) -> None:
    """What is no slug names neither a plan nor an entity."""
    with pytest.raises(BadInput, match="is no slug"):
        ids.plan_id(slug)
    with pytest.raises(BadInput, match="is no slug"):
        ids.entity_id("file", slug)


@pytest.mark.parametrize("type", [*HOSTILE, "a-b", "A", "a" * 41])
def test_bad_types(type: str) -> None:
    """The type of an entity is one word."""
    with pytest.raises(BadInput, match="is no entity type"):
        ids.entity_id(type, "x")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Auth tokens: expire!", "auth-tokens-expire"),
        ("  src/auth.py ", "src-auth-py"),
        ("Ärger & Größe", "arger-groe"),
        ("ﬁle №5", "file-no5"),
        ("../../etc/passwd", "etc-passwd"),
        ("--force", "force"),
        ("bee🐝hive", "beehive"),
        ("a\x1b[31mb\n", "a-31mb"),
        ("x" * 100, "x" * 80),
        ("word " * 20, "word-word-word-word-word-word-word-word-word-word-word-word-word-word-word-word"),
        (("a" * 40 + " ") * 2, "a" * 40),
    ],
)
def test_slugify(text: str, slug: str) -> None:
    """A slug is what is left of a text in ASCII letters and digits, and ends at a whole word."""
    assert ids.slugify(text) == slug


@pytest.mark.parametrize("text", ["", "🐝", "---", "你好", "\n"])
def test_slugify_refuses_what_leaves_nothing(text: str) -> None:
    """A text without any letter a-z or digit makes no name."""
    with pytest.raises(BadInput, match="no letter a-z or digit"):
        ids.slugify(text)


@given(st.text(max_size=200))
def test_slugify_gives_slugs(text: str) -> None:
    """Whatever slugify returns names a plan, and is its own slug."""
    try:
        slug = ids.slugify(text)
    except BadInput:
        return
    assert ids.plan_id(slug) == f"plan-{slug}"
    assert ids.slugify(slug) == slug


@pytest.mark.parametrize("name", ["a", "0", "backend-2", "a.b_c-d", "human", "a" * 63, "no", "a-", "lock"])
def test_agent_names(name: str) -> None:
    """Short names of lower-case letters, digits, dots, hyphens and underscores are fine."""
    assert ids.agent_name(name) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an agent needs a name"),
        ("../x", r"'\.\./x' is no agent name: .*; try \"x\""),
        ("-rf", r"'-rf' is no agent name: .*beginning with a letter or digit; try \"rf\""),
        ("a\nb", r"'a\\nb' is no agent name"),
        ("a\n", r"'a\\n' is no agent name"),
        ("a\x1b[31m", r"'a\\x1b\[31m' is no agent name"),
        ("🐝", r"'🐝' is no agent name: [^;]*$"),
        ("Backend 2", 'try "backend-2"'),
        ("a..b", "two dots in a row"),
        ("a.", 'may not end in "."'),
        ("main.lock", 'may not end in .*; try "main-lock"'),
        (".hidden", 'try "hidden"'),
        ("a/b", 'try "a-b"'),
        ("a" * 64, "1 to 63"),
        ("\u202eabc", r"'\\u202eabc'"),
        ("\ud800", r"'\\ud800'"),
    ],
)
def test_bad_agent_names(text: str, message: str) -> None:
    """A bad name is shown escaped, with what is wrong and a name to use instead."""
    with pytest.raises(BadInput, match=message) as refused:
        ids.agent_name(text)
    assert str(refused.value).isprintable()


def test_a_long_bad_name_is_cut_in_the_message() -> None:
    """A megabyte of a name makes a message of a few lines at most."""
    with pytest.raises(BadInput) as refused:
        ids.agent_name("../" * 400_000)
    assert len(str(refused.value)) < 250


@given(st.text(max_size=80))
def test_suggested_names_are_names(text: str) -> None:
    """What the message suggests is accepted."""
    try:
        assert ids.agent_name(text) == text
    except BadInput as refused:
        if '; try "' in str(refused):
            suggestion = str(refused).rpartition('; try "')[2].removesuffix('"')
            assert ids.agent_name(suggestion) == suggestion


def test_log_directory() -> None:
    """An agent's day has a directory of its own; what is no agent name has none."""
    assert ids.log_directory("backend-2", date(2026, 1, 2)) == "log/2026/01/02/backend-2/"
    with pytest.raises(BadInput):
        ids.log_directory("../x", date(2026, 1, 2))
