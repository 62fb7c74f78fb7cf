"""What each kind of entry must say. Imports pydantic, which costs start-up time: for those who write.

Types are strict: the text "1" is no number. Fields that a model does not know are allowed and kept, so that newer
versions and other tools can add theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from .errors import BadInput
from .ids import agent_name, kind_of, quoted
from .times import parse_time

__all__ = ["MODELS", "Entry", "validate"]

_SHOWN_PROBLEMS = 2


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """`check` as pydantic wants it: it catches ValueError, and says in which field."""

    def validator(text: str) -> str:
        try:
            check(text)
        except BadInput as error:
            raise ValueError(str(error)) from None
        return text

    return AfterValidator(validator)


def _of_kind(kind: str) -> AfterValidator:
    def check(id: str) -> None:
        if kind_of(id) != kind:
            raise BadInput(f"{id} is the id of a {kind_of(id)}, not of a {kind}")

    return _checked(check)


def _in_repository(path: str) -> None:
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise BadInput(f"{quoted(path)} is no path inside the repository; write it from its root, with no . or ..")


def _in_order(lines: list[int]) -> list[int]:
    if len(lines) != 2 or not 1 <= lines[0] <= lines[1]:
        raise ValueError(f"{_shown(lines)} is no range of lines; write [first, last], counted from 1")
    return lines


def _listed(value: object) -> object:
    return value if isinstance(value, list) or value is None else [value]


_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_NO_NUL = r"^[^\x00]*$"
_WORD = r"^[a-z][a-z0-9_-]{0,31}$"
_OBJECT_NAME = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"
_SHA256 = r"^[0-9a-f]{64}$"
_URL = r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f\x7f-\x9f]+$"
_KEY = r"^[^\s.]+(?:\.[^\s.]+)+$"
_MARKS = r"^[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}$"
_FORMS = {
    _ONE_LINE: "must be one line without control characters",
    _NO_NUL: "may not hold a NUL character",
    _WORD: "must be one word of a-z, 0-9, hyphen and underscore, such as active",
    _OBJECT_NAME: "must be one of git's object names in full, 40 or 64 hex digits",
    _SHA256: "must be a sha256 in full, 64 hex digits",
    _URL: "must be a URL, such as https://example.org/page",
    _MARKS: "must be five runs of marks in base64, joined by dots",
    _KEY: "must be SUBJECT.ATTRIBUTE, such as auth.token-lifetime",
}
"""What is said of a text that does not match the pattern."""

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=_ONE_LINE)]
LongLine = Annotated[str, Field(min_length=1, max_length=4096, pattern=_ONE_LINE)]
Text = Annotated[str, Field(min_length=1, max_length=16384, pattern=_NO_NUL)]
Word = Annotated[str, Field(pattern=_WORD)]
ObjectName = Annotated[str, Field(pattern=_OBJECT_NAME)]
Sha256 = Annotated[str, Field(pattern=_SHA256)]
Key = Annotated[str, Field(max_length=200, pattern=_KEY)]
Time = Annotated[str, _checked(parse_time)]
AnyId = Annotated[str, _checked(kind_of)]
PlanId = Annotated[str, _of_kind("plan")]
TaskId = Annotated[str, _of_kind("task")]
LogId = Annotated[str, _of_kind("log")]
Agent = Annotated[str, _checked(agent_name)]
# One may stand alone, without a list around it.
Ids = Annotated[list[AnyId], BeforeValidator(_listed)]
Agents = Annotated[list[Agent], BeforeValidator(_listed)]
Texts = Annotated[list[Text], BeforeValidator(_listed)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class CodeCitation(_Model):
    """Lines of a file of the repository; `sha256` is of their bytes, at `commit` where they are committed."""

    path: Annotated[LongLine, _checked(_in_repository)]
    lines: Annotated[list[int], AfterValidator(_in_order)]
    commit: ObjectName | None = None
    sha256: Sha256
    loose: Sha256 | None = None
    marks: Annotated[str, Field(max_length=16384, pattern=_MARKS)] | None = None
    copies: Annotated[int, Field(ge=0)] | None = None
    rivals: Annotated[list[Annotated[float, Field(ge=0, le=2)]], Field(min_length=2, max_length=2)] | None = None


class EntryCitation(_Model):
    """Another entry, at a version."""

    entry: AnyId
    version: ObjectName


class LogCitation(_Model):
    """A section of a log; those never change."""

    log: LogId


class UrlCitation(_Model):
    """A page elsewhere."""

    url: Annotated[str, Field(max_length=4096, pattern=_URL)]


class CommandCitation(_Model):
    """What a command printed: `sha256` is of its standard output, `exit` its status."""

    command: Text
    exit: int
    sha256: Sha256


_CITATIONS = {
    "path": CodeCitation,
    "entry": EntryCitation,
    "log": LogCitation,
    "url": UrlCitation,
    "command": CommandCitation,
}


def _citation_kind(citation: object) -> str | None:
    return next((kind for kind in _CITATIONS if kind in citation), None) if isinstance(citation, dict) else None


Citation = Annotated[
    Annotated[CodeCitation, Tag("path")]
    | Annotated[EntryCitation, Tag("entry")]
    | Annotated[LogCitation, Tag("log")]
    | Annotated[UrlCitation, Tag("url")]
    | Annotated[CommandCitation, Tag("command")],
    Discriminator(
        _citation_kind,
        custom_error_type="citation",
        custom_error_message="a citation is a mapping with one of path, entry, log, url, command",
    ),
]


class Entry(_Model):
    """What entries of every kind have."""

    id: AnyId
    kind: str
    title: Line | None = None
    by: Agent
    at: Time
    rev: Count = 1
    status: Word | None = None
    entities: list[Line] = []
    room: Line | None = None
    tags: list[Line] = []
    valid_from: Time | None = None
    valid_to: Time | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if kind_of(self.id) != self.kind:
            raise BadInput(f"id: {self.id} is the id of a {kind_of(self.id)}, not of a {self.kind}")
        if self.valid_from and self.valid_to and parse_time(self.valid_from) > parse_time(self.valid_to):
            raise BadInput(f"valid_to: {self.valid_to} is before valid_from, {self.valid_from}")
        return self


class Plan(Entry):
    """A goal and its phases."""

    title: Line
    phases: list[Line] = []


class Task(Entry):
    """A node of a plan's graph."""

    title: Line
    plan: PlanId | None = None
    phase: Line | None = None
    depends_on: list[TaskId] = []
    scope: list[LongLine] = []
    owner: Agent | None = None
    acceptance: Texts | None = None
    priority: int | None = None


class Log(Entry):
    """A section of a log with its metadata laid out as fields; the text is the body."""

    to: Agents | None = None
    task: TaskId | None = None
    ref: Line | None = None


class Fact(Entry):
    """A claim, with the evidence that it rests on."""

    title: Line
    citations: list[Citation] = []
    key: Key | None = None
    supersedes: Ids | None = None
    superseded_by: Ids | None = None
    confidence: Share | None = None


class Reflection(Entry):
    """What an agent concludes from several entries."""

    title: Line
    citations: list[Citation] = []
    supersedes: Ids | None = None
    superseded_by: Ids | None = None
    confidence: Share | None = None


class Entity(Entry):
    """The index page of a thing that entries mention."""

    title: Line
    type: str
    aliases: list[Line] = []

    @model_validator(mode="after")
    def _type_of_id(self) -> Self:
        if self.id.split("-", 2)[1] != self.type:
            raise BadInput(f"type: {quoted(self.type)} is not the type in the id {self.id}")
        return self


class Side(_Model):
    """One of the versions that conflict."""

    version: ObjectName
    by: Agent | None = None
    at: Time | None = None


class Contested(Entry):
    """A conflict of versions of one entry, or of the file at a path, that nobody could merge."""

    of: AnyId | None = None
    path: LongLine | None = None
    sides: Annotated[list[Side], Field(min_length=2)]

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.of is None and self.path is None:
            raise BadInput("of: it is missing")
        if self.of and self.path:
            raise BadInput("path: it is for a file that is no entry, and this names an entry in `of`")
        return self


class Tombstone(Entry):
    """What is left of an entry that was taken out."""

    of: AnyId
    version: ObjectName
    why: Text


MODELS: dict[str, type[Entry]] = {
    "plan": Plan,
    "task": Task,
    "log": Log,
    "fact": Fact,
    "entity": Entity,
    "reflection": Reflection,
    "contested": Contested,
    "tombstone": Tombstone,
}


def validate(fields: Mapping[str, object], body: str) -> None:
    """Return if `fields` and `body` make an entry; a field of null is absent.

    Raises BadInput "field: what is wrong", for the first two.
    """
    kind = fields.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(MODELS)
        raise BadInput(f"kind: {quoted(kind)} is none of {known}" if isinstance(kind, str) else f"kind: one of {known}")
    if "\0" in body:
        raise BadInput("body: it holds a NUL character; take it out")
    try:
        model.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise BadInput(_problems(error)) from None


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    lines = [f"{_field(problem['loc'])}: {_message(problem)}" for problem in found[:_SHOWN_PROBLEMS]]
    if more := len(found) - len(lines):
        lines[-1] += f" (and {more} more)"
    return "\n".join(lines)


def _field(location: tuple[int | str, ...]) -> str:
    """`citations[0].lines` of ("citations", 0, "path", "lines"), where pydantic names the kind of citation too."""
    if location[0] == "citations":
        location = location[:2] + location[3:]
    return str(location[0]) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location[1:])


def _message(problem: ErrorDetails) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return "it is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "citation":
        return problem["msg"]
    if kind == "string_too_long":
        return f"it has {len(problem['input'])} characters; at most {context['max_length']}, more belongs into the body"
    if kind == "string_too_short":
        return "it is empty"
    said = _FORMS.get(context.get("pattern", "")) or problem["msg"].replace("Input should be", "must be")
    return f"{said}, not {_shown(problem['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
