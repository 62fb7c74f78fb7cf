"""Conversations in LoCoMo's JSON shape: turns to keep as log entries, questions whose evidence is turns.

A file holds a list of conversations or one of them: `conversation.session_N` is a list of turns (`speaker`,
`dia_id`, `text`, sometimes `blip_caption`), `session_N_date_time` is when it took place, `qa` has `question`,
`evidence` (a list of `dia_id`) and `category`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import AgentName, agent_name, slugify
from swarm_ledger.times import format_time

__all__ = [
    "SCORED",
    "Conversation",
    "Question",
    "Recall",
    "Turn",
    "pooled",
    "read_conversations",
    "score_recall",
]

SCORED = (1, 2, 3, 4)
"""Categories that count: multi-hop, temporal, open-domain, single-hop. 5, adversarial, has no answer."""

_SESSION = re.compile(r"session_(0|[1-9][0-9]{0,5})")
_EVIDENCE = re.compile(r"D[0-9]+:[0-9]+")
_WHEN = re.compile(r"(1[0-2]|0?[1-9]):([0-5][0-9]) ?([ap])\.?m\.? on ([0-9]{1,2}) ([a-z]{3,9}),? ([0-9]{4})")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said at once. `at` is when its session took place: ISO 8601, UTC."""

    conversation: str
    session: int
    dia_id: str
    speaker: str
    text: str
    caption: str
    """What an image that was shown with it depicts, or ""."""
    at: str

    @property
    def agent(self) -> AgentName:
        """The speaker as an agent's name."""
        return agent_name(slugify(self.speaker)[:63].rstrip("-"))

    @property
    def room(self) -> str:
        """The room that stands for its session, in the wing that stands for its conversation."""
        return f"{self.conversation}/session-{self.session}"

    @property
    def log_text(self) -> str:
        """The text of its log entry, the caption included."""
        return " ".join(part for part in (self.text, self.caption and f"[image: {self.caption}]") if part)

    @property
    def meta(self) -> dict[str, str]:
        """The metadata of its log entry: `ref`, `room`, `valid_from`."""
        return {"ref": self.dia_id, "room": self.room, "valid_from": self.at}


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the turns that hold its answer: at least one, each of them in the conversation."""

    conversation: str
    text: str
    category: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """`turns` in order of time; `questions` are those with evidence that can be found."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """`at[k]` is the mean over `questions` questions of the share of evidence among the first k hits."""

    questions: int
    at: Mapping[int, float]


def read_conversations(path: str) -> list[Conversation]:
    """The conversations in the file at `path`. Raises BadInput with the file and what is wrong in it."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file; give the path of a conversation in LoCoMo's JSON shape.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except (RecursionError, ValueError) as error:
        raise BadInput(f"{path}: not a conversation: {type(error).__name__} while reading its JSON.") from None
    items = found if isinstance(found, list) else [found]
    if not items:
        raise BadInput(f"{path}: holds no conversation.")
    conversations = [_Parser(path, number).conversation(item) for number, item in enumerate(items, 1)]
    names = [conversation.name for conversation in conversations]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path}: two conversations are named {name!r}; give each a sample_id of its own.")
    return conversations


def score_recall(
    questions: Iterable[Question],
    ask: Callable[[Question, int], Sequence[str]],
    ks: Sequence[int] = (1, 5, 10),
) -> Recall:
    """Recall at each of `ks` over the questions of the scored categories.

    `ask(question, k)` gives the `ref` of the first k hits, best first; a hit stands for one turn.
    """
    scored = [question for question in questions if question.category in SCORED]
    sums = dict.fromkeys(ks, 0.0)
    for question in scored:
        refs = ask(question, max(ks))
        for k in ks:
            sums[k] += len(set(refs[:k]) & set(question.evidence)) / len(question.evidence)
    return Recall(len(scored), {k: total / len(scored) if scored else 0.0 for k, total in sums.items()})


def pooled(parts: Iterable[Recall]) -> Recall:
    """The recall over the questions of all `parts`, which were scored at the same ks."""
    known = list(parts)
    total = sum(part.questions for part in known)
    ks = {k: None for part in known for k in part.at}
    sums = {k: sum(part.at[k] * part.questions for part in known) for k in ks}
    return Recall(total, {k: value / total if total else 0.0 for k, value in sums.items()})


class _Parser:
    """Reads one conversation of a file, and says where it stopped."""

    def __init__(self, path: str, number: int) -> None:
        self._where = f"{path}: conversation {number}"
        self._name = f"conversation-{number}"

    def conversation(self, item: object) -> Conversation:
        fields = self._object(item, "it")
        if "sample_id" in fields:
            self._name = self._text(fields["sample_id"], "sample_id")
            self._where += f" ({self._name[:60]!r})"
        if "conversation" not in fields:
            raise self._wrong("it has no field 'conversation'")
        sessions = self._object(fields["conversation"], "conversation")
        turns = tuple(self._turns(sessions))
        if not turns:
            raise self._wrong("it has no turn: no session_N with a list of turns")
        known: set[str] = set()
        for turn in turns:
            if turn.dia_id in known:
                raise self._wrong(f"two turns have the dia_id {turn.dia_id[:60]!r}")
            known.add(turn.dia_id)
        questions = tuple(self._questions(fields.get("qa", []), known))
        return Conversation(self._name, turns, questions)

    def _turns(self, sessions: Mapping[str, object]) -> Iterator[Turn]:
        numbers = sorted(int(match[1]) for match in map(_SESSION.fullmatch, sessions) if match)
        for number in numbers:
            name = f"session_{number}"
            turns = self._list(sessions.get(name), name)
            at = self._time(sessions.get(f"{name}_date_time"), f"{name}_date_time") if turns else ""
            for position, item in enumerate(turns, 1):
                where = f"{name}, turn {position}"
                turn = self._object(item, where)
                speaker = self._text(turn.get("speaker"), f"{where}: speaker")
                caption = self._text(turn.get("blip_caption", ""), f"{where}: blip_caption", empty=True)
                text = self._text(turn.get("text"), f"{where}: text", empty=bool(caption))
                dia_id = self._text(turn.get("dia_id"), f"{where}: dia_id")
                found = Turn(self._name, number, dia_id, speaker, text, caption, at)
                try:
                    _ = found.agent
                except BadInput as error:
                    raise self._wrong(f"{where}: speaker: {error}") from None
                yield found

    def _questions(self, items: object, known: set[str]) -> Iterator[Question]:
        for position, item in enumerate(self._list(items, "qa"), 1):
            where = f"qa {position}"
            fields = self._object(item, where)
            text = self._text(fields.get("question"), f"{where}: question")
            category = fields.get("category")
            if not isinstance(category, int) or isinstance(category, bool):
                raise self._wrong(f"{where}: category is not a whole number")
            named: dict[str, None] = {}
            for part in self._list(fields.get("evidence", []), f"{where}: evidence"):
                # Some files hold two ids in one string, or half an id; those that name a turn are kept.
                named |= dict.fromkeys(_EVIDENCE.findall(self._text(part, f"{where}: evidence", empty=True)))
            evidence = tuple(dia_id for dia_id in named if dia_id in known)
            if evidence:
                yield Question(self._name, text, category, evidence)

    def _time(self, value: object, what: str) -> str:
        text = self._text(value, what)
        if match := _WHEN.fullmatch(text.strip().lower()):
            hour, minute, half, day, month, year = match.groups()
            month_number = next((i for i, name in enumerate(_MONTHS, 1) if month in (name, name[:3])), 0)
            hour_of_day = int(hour) % 12 + (12 if half == "p" else 0)
            with contextlib.suppress(ValueError):
                at = datetime(int(year), month_number, int(day), hour_of_day, int(minute), tzinfo=UTC)
                return format_time(at)
        raise self._wrong(f"{what}: {text[:60]!r} is not a time like '1:56 pm on 8 May, 2023'")

    def _object(self, value: object, what: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self._wrong(f"{what} is not an object")
        return value

    def _list(self, value: object, what: str) -> list[object]:
        if not isinstance(value, list):
            raise self._wrong(f"{what} is not a list")
        return value

    def _text(self, value: object, what: str, *, empty: bool = False) -> str:
        if not isinstance(value, str):
            raise self._wrong(f"{what} is not text" if value is not None else f"{what} is missing")
        if not empty and not value.strip():
            raise self._wrong(f"{what} is empty")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._wrong(f"{what} holds half of a surrogate pair") from None
        return value

    def _wrong(self, what: str) -> BadInput:
        return BadInput(f"{self._where}: {what}.")
