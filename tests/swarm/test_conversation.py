"""Conversations: turns and questions from LoCoMo's shape, and how recall is scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.conversation import Question, Recall, pooled, read_conversations, score_recall
from swarm_ledger.errors import BadInput, NotFound


def turn(
    dia_id: str = "D1:1", speaker: str = "Ann Lee", text: str = "The boat leaks.", **more: object
) -> dict[str, object]:
    return {"dia_id": dia_id, "speaker": speaker, "text": text, **more}


def sample(**changes: object) -> dict[str, Any]:
    """A conversation of three turns with one question."""
    conversation = {
        "speaker_a": "Ann Lee",
        "session_2": [turn("D2:1", "Bo", "I fixed it.", blip_caption="a boat on a trailer")],
        "session_2_date_time": "12:05 am on 1 March, 2024",
        "session_1": [turn(), turn("D1:2", "Bo", "Where?")],
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_3_date_time": "2:00 pm on 9 May, 2024",
    }
    conversation |= changes
    question = {"question": "Who fixed the boat?", "answer": "Bo", "evidence": ["D2:1"], "category": 4}
    return {"sample_id": "c-1", "conversation": conversation, "qa": [question]}


def written(path: Path, value: object) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def test_turns_come_in_order_of_session_with_their_time(tmp_path: Path) -> None:
    """Sessions are ordered by number, and each turn has the time of its session in UTC."""
    (found,) = read_conversations(written(tmp_path / "c.json", [sample()]))
    assert found.name == "c-1"
    assert [(t.session, t.dia_id, t.speaker, t.text, t.caption, t.at) for t in found.turns] == [
        (1, "D1:1", "Ann Lee", "The boat leaks.", "", "2023-05-08T13:56:00Z"),
        (1, "D1:2", "Bo", "Where?", "", "2023-05-08T13:56:00Z"),
        (2, "D2:1", "Bo", "I fixed it.", "a boat on a trailer", "2024-03-01T00:05:00Z"),
    ]


def test_a_turn_says_how_it_is_logged(tmp_path: Path) -> None:
    """Its speaker is the agent, its session the room, its id the ref; a caption is part of the text."""
    (found,) = read_conversations(written(tmp_path / "c.json", sample()))
    first, _, last = found.turns
    assert (first.agent, first.room, first.log_text) == ("ann-lee", "c-1/session-1", "The boat leaks.")
    assert last.log_text == "I fixed it. [image: a boat on a trailer]"
    assert last.meta == {"ref": "D2:1", "room": "c-1/session-2", "valid_from": "2024-03-01T00:05:00Z"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:56 pm on 8 May, 2023", "2023-05-08T13:56:00Z"),
        ("12:00 pm on 29 February, 2024", "2024-02-29T12:00:00Z"),
        ("12:00 am on 31 December, 2023", "2023-12-31T00:00:00Z"),
        ("09:05 AM on 1 Sep 2022", "2022-09-01T09:05:00Z"),
    ],
)
def test_times_are_read_as_they_are_spoken(tmp_path: Path, text: str, expected: str) -> None:
    """Twelve am is midnight and twelve pm is noon."""
    (found,) = read_conversations(written(tmp_path / "c.json", sample(session_1_date_time=text)))
    assert found.turns[0].at == expected


def test_evidence_that_cannot_be_found_does_not_count(tmp_path: Path) -> None:
    """Two ids in one string are two; half an id and an unknown one are none; a question without any is left out."""
    data = sample()
    data["qa"] = [
        {"question": "one", "evidence": ["D1:1; D2:1", "D1:1", "D", "D:1:2", "D9:9"], "category": 1},
        {"question": "two", "evidence": ["D9:9"], "category": 1},
        {"question": "three", "evidence": [], "category": 5},
        {"question": "four", "category": 5},
    ]
    (found,) = read_conversations(written(tmp_path / "c.json", data))
    assert found.questions == (Question("c-1", "one", 1, ("D1:1", "D2:1")),)


def test_a_conversation_without_a_name_gets_its_number(tmp_path: Path) -> None:
    """Names tell the conversations of a file apart."""
    unnamed = sample()
    del unnamed["sample_id"]
    found = read_conversations(written(tmp_path / "c.json", [sample(), unnamed]))
    assert [conversation.name for conversation in found] == ["c-1", "conversation-2"]


BAD: list[tuple[object, str]] = [
    ([], "holds no conversation"),
    (5, "conversation 1: it is not an object"),
    ([sample(), "x"], "conversation 2: it is not an object"),
    ({}, "conversation 1: it has no field 'conversation'"),
    ({"conversation": []}, "conversation is not an object"),
    ({"conversation": {}}, "it has no turn"),
    ({"sample_id": 5, "conversation": {}}, "sample_id is not text"),
    ([sample(), sample()], "two conversations are named 'c-1'"),
    (sample(session_1="x"), "session_1 is not a list"),
    (sample(session_1=[5]), "session_1, turn 1 is not an object"),
    (sample(session_1=[turn(), {"text": "a", "dia_id": "D1:2"}]), "session_1, turn 2: speaker is missing"),
    (sample(session_1=[turn(speaker="??")]), "session_1, turn 1: speaker: "),
    (sample(session_1=[turn(text="")]), "session_1, turn 1: text is empty"),
    (sample(session_1=[turn(text=None)]), "session_1, turn 1: text is missing"),
    (sample(session_1=[turn(text="\ud800")]), "half of a surrogate pair"),
    (sample(session_1=[turn(dia_id=3)]), "session_1, turn 1: dia_id is not text"),
    (sample(session_1=[turn(blip_caption=[])]), "blip_caption is not text"),
    (sample(session_1=[turn(), turn()]), "two turns have the dia_id 'D1:1'"),
    (sample(session_1_date_time=None), "session_1_date_time is missing"),
    (sample(session_1_date_time="13:56 on 8 May"), "'13:56 on 8 May' is not a time like"),
    (sample(session_1_date_time="1:56 pm on 31 June, 2023"), "is not a time like"),
    (sample(session_1_date_time="1:56 pm on 8 Mayhem, 2023"), "is not a time like"),
    ({**sample(), "qa": {}}, "qa is not a list"),
    ({**sample(), "qa": [[]]}, "qa 1 is not an object"),
    ({**sample(), "qa": [{"question": "", "category": 1}]}, "qa 1: question is empty"),
    ({**sample(), "qa": [{"question": "q", "category": "1"}]}, "qa 1: category is not a whole number"),
    ({**sample(), "qa": [{"question": "q", "category": 1, "evidence": "D1:1"}]}, "qa 1: evidence is not a list"),
    ({**sample(), "qa": [{"question": "q", "category": 1, "evidence": [1]}]}, "qa 1: evidence is not text"),
]


@pytest.mark.parametrize(("value", "message"), BAD, ids=[message for _, message in BAD])
def test_a_malformed_shape_is_refused_by_name(tmp_path: Path, value: object, message: str) -> None:
    """The message names the file, the conversation and what is wrong in it."""
    path = written(tmp_path / "c.json", value)
    with pytest.raises(BadInput) as raised:
        read_conversations(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "not a conversation"),
        (b"[" + b"9" * 10_000 + b"]", "not a conversation"),
    ],
)
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """Whatever the bytes, the answer is one line."""
    path = tmp_path / "c.json"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=message):
        read_conversations(str(path))


def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a directory and an impossible name."""
    with pytest.raises(NotFound, match="no such file"):
        read_conversations(str(tmp_path / "none.json"))
    for path in (str(tmp_path), "a\0b"):
        with pytest.raises(BadInput, match="cannot be read"):
            read_conversations(path)


def test_recall_is_the_mean_share_of_evidence_among_the_first_hits() -> None:
    """One hit stands for one turn, questions weigh the same, and adversarial ones do not count."""
    questions = [
        Question("c", "half", 1, ("D1:1", "D1:2")),
        Question("c", "late", 2, ("D1:3",)),
        Question("c", "never", 4, ("D1:4",)),
        Question("c", "adversarial", 5, ("D1:1",)),
    ]
    hits = {
        "half": ["D1:1", "D1:1", "D9:9", "", "D9:8", "D1:2"],
        "late": ["D9:9", "D1:3"],
        "never": [],
        "adversarial": ["D1:1"],
    }
    found = score_recall(questions, lambda question, k: hits[question.text][:k])
    assert found == Recall(3, {1: pytest.approx(0.5 / 3), 5: pytest.approx(1.5 / 3), 10: pytest.approx(2 / 3)})


def test_parts_are_pooled_by_their_questions() -> None:
    """A part with twice the questions weighs twice; none at all is zero."""
    parts = [Recall(1, {1: 1.0}), Recall(2, {1: 0.25})]
    assert pooled(parts) == Recall(3, {1: 0.5})
    assert pooled([]) == Recall(0, {})
    assert score_recall([], lambda question, k: []) == Recall(0, {1: 0.0, 5: 0.0, 10: 0.0})
