"""Models of sentence-transformers, from a directory."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from swarm_indexes import sentences
from swarm_indexes.sentences import SentenceModel
from swarm_ledger.errors import BadInput

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "dog")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A directory with a tiny model of random weights."""
    library = pytest.importorskip("sentence_transformers", reason="needs the extra meaning")
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(1)
    source, target = tmp_path / "bert", tmp_path / "tiny"
    source.mkdir()
    (source / "vocab.txt").write_text("\n".join(WORDS))
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **shape)).save_pretrained(source)
    BertTokenizerFast(vocab_file=str(source / "vocab.txt")).save_pretrained(source)
    library.SentenceTransformer(str(source)).save(str(target))
    return str(target)


def test_texts_are_rows_and_equal_texts_are_equal_rows(model: str) -> None:
    """Whatever else is in the batch; a long text is cut by the model."""
    embedder = SentenceModel(model)
    rows = embedder.embed(["the cat sat", "dog", "the cat sat", "cat " * 500])
    assert rows.shape == (4, 16)
    assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(rows[0], rows[2], strict=True))
    assert not all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(rows[0], rows[1], strict=True))
    alone = embedder.embed(["dog"])
    assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(rows[1], alone[0], strict=True))


def directory(tmp_path: Path, name: str = "model", weights: bytes = b"weights") -> Path:
    made = tmp_path / name
    made.mkdir(parents=True)
    (made / "modules.json").write_text("[]")
    (made / "model.safetensors").write_bytes(weights)
    return made


def test_a_model_is_named_for_its_directory_and_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files elsewhere have the same name, other weights or settings another."""
    monkeypatch.setattr(sentences, "find_spec", lambda name: object())
    one = directory(tmp_path / "a")
    name = SentenceModel(str(one)).name
    assert name.split()[0] == "model"
    assert len(name.split()[1]) == 8
    assert SentenceModel(str(directory(tmp_path / "b"))).name == name
    assert SentenceModel(str(directory(tmp_path / "c", weights=b"others!"))).name != name
    (one / "modules.json").write_text(json.dumps([1]))
    assert SentenceModel(str(one)).name != name


def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what is missing; nothing is fetched in its place."""
    with pytest.raises(BadInput, match="has no sentence-transformers model"):
        _ = SentenceModel(str(tmp_path / "nothing")).name
    monkeypatch.setattr(sentences, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"not installed: pip install 'swarm-ledger\[meaning\]'"):
        _ = SentenceModel(str(directory(tmp_path))).name


def test_a_broken_model_is_refused(tmp_path: Path) -> None:
    """A file of weights that is none, or settings that name no module."""
    pytest.importorskip("sentence_transformers", reason="needs the extra meaning")
    broken = directory(tmp_path)
    with pytest.raises(BadInput, match="cannot be loaded"):
        SentenceModel(str(broken)).embed(["the cat"])
    (broken / "modules.json").write_text("not JSON")
    with pytest.raises(BadInput, match="cannot be loaded"):
        SentenceModel(str(broken)).embed(["the cat"])
