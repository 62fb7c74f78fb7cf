"""Models of sentence-transformers, from a directory: as an ONNX graph, or run by their library."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from tokenizers import Tokenizer, models, pre_tokenizers

from swarm_indexes import sentences
from swarm_indexes.sentences import SentenceModel
from swarm_ledger.errors import BadInput

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "dog")
MEAN = {"pooling_mode": "mean", "include_prompt": True}


def write(target: Path, name: str, value: Any) -> None:
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def describe(target: Path, pooling: dict[str, Any], *more: str, most: int = 4) -> None:
    """Write the settings of a model of these modules."""
    names = ["Transformer", "Pooling", *more]
    modules = [{"path": f"{n}_{name}", "type": f"sentence_transformers.models.{name}"} for n, name in enumerate(names)]
    write(target, "modules.json", modules)
    write(target, "1_Pooling/config.json", pooling)
    write(target, "sentence_bert_config.json", {"max_seq_length": most})


def draw(path: Path, second: str = "attention_mask", size: Sequence[str | int] = ("texts", "tokens", 3)) -> None:
    """Write a graph by which the token n has the vector (n, 1, 0)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = onnx.numpy_helper.from_array(np.array([(n, 1, 0) for n in range(len(WORDS))], dtype=np.float32), "table")
    put = [make_tensor_value_info(name, onnx.TensorProto.INT64, ["texts", "tokens"]) for name in ("input_ids", second)]
    given = make_tensor_value_info("last_hidden_state", onnx.TensorProto.FLOAT, size)
    nodes = [make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    made = make_graph(nodes, "tiny", put, [given], [table])
    onnx.save(make_model(made, opset_imports=[make_opsetid("", 17)], ir_version=9), str(path))


def of_another_model(path: Path) -> None:
    """Give the cat a number that is beyond the graph's table."""
    path.write_text(path.read_text().replace('"cat":6', '"cat":600').replace('"cat": 6', '"cat": 600'))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A directory with the graph of a model and its tokens."""
    target = tmp_path / "tiny"
    describe(target, MEAN, "Normalize")
    tokens = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.enable_padding(length=8)  # as in many a published one; it is no part of a text
    tokens.save(str(target / "tokenizer.json"))
    draw(target / "onnx" / "model.onnx")
    return target


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode": "mean", "include_prompt": True}, 6.5),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, 6.5),
        ({"pooling_mode": "cls"}, 5.0),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, 5.0),
    ],
)
def test_a_graph_gives_a_text_the_vector_of_its_tokens(tiny: Path, pooling: dict[str, Any], expected: float) -> None:
    """Their mean, or the first, as the model's settings say; of a long text the tokens that the model takes in."""
    describe(tiny, pooling)
    model = SentenceModel(str(tiny))
    assert model.embed(["the cat sat dog dog dog"]).tolist() == [[expected, 1, 0]]
    assert model.embed(["dog", "cat the"]).tolist() == [[8, 1, 0], [5.5 if expected == 6.5 else 6, 1, 0]]


def test_how_many_tokens_are_taken_in_is_the_least_that_is_said(tiny: Path) -> None:
    """By the settings of the model, its tokens or its library; where none says it, the model is refused."""
    write(tiny, "sentence_bert_config.json", {})
    with pytest.raises(BadInput, match="says how many tokens the model takes in"):
        SentenceModel(str(tiny)).embed(["cat"])
    write(tiny, "config.json", {"max_position_embeddings": 2})
    write(tiny, "tokenizer_config.json", {"model_max_length": 1e30})
    assert SentenceModel(str(tiny)).embed(["the cat dog dog"]).tolist() == [[5.5, 1, 0]]


def test_a_graph_may_be_named(tiny: Path) -> None:
    """It is another model than the others of its directory; its name says which it is."""
    draw(tiny / "onnx" / "model_int8.onnx")
    draw(tiny / "other.onnx", second="token_type_ids")
    whole, small, other = (SentenceModel(str(tiny / name)) for name in ("", "onnx/model_int8.onnx", "other.onnx"))
    assert whole.name.split()[0] == "tiny"
    assert small.name.split()[0] == "tiny/model_int8.onnx"
    assert len({model.name.split()[1] for model in (whole, small, other)}) == 3
    assert other.embed(["dog"]).tolist() == [[8, 1, 0]]
    with pytest.raises(BadInput, match="there is no file"):
        _ = SentenceModel(str(tiny / "onnx" / "none.onnx")).name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tiny: (tiny / "onnx/model.onnx").write_bytes(b"no graph"), "cannot be loaded"),
        (lambda tiny: (tiny / "tokenizer.json").unlink(), "cannot be loaded"),
        (lambda tiny: of_another_model(tiny / "tokenizer.json"), "cannot be run on 1 tokens"),
        (lambda tiny: draw(tiny / "onnx/model.onnx", second="past"), "it takes input_ids, past and gives"),
        (lambda tiny: draw(tiny / "onnx/model.onnx", size=("texts", "size")), "cannot be loaded|for each token"),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused(
    tiny: Path, change: Any, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that is none, without tokens or with another's, that wants what a text has not, or gives something else."""
    change(tiny)
    with pytest.raises(BadInput, match=says):
        SentenceModel(str(tiny)).embed(["cat"])
    assert capfd.readouterr() == ("", "")


def test_a_graph_without_its_runtime_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is no silent substitute: its vectors are kept under another name."""
    monkeypatch.setattr(sentences, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(BadInput, match=r"onnxruntime is not installed: pip install 'swarm-ledger\[meaning\]'"):
        _ = SentenceModel(str(tiny)).name


@pytest.mark.parametrize(
    "change",
    [
        lambda tiny: describe(tiny, MEAN, "Dense"),
        lambda tiny: describe(tiny, {"pooling_mode": "max"}),
        lambda tiny: describe(tiny, {"pooling_mode": ["mean", "cls"]}),
        lambda tiny: describe(tiny, {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}),
        lambda tiny: write(tiny, "config_sentence_transformers.json", {"default_prompt_name": "query"}),
        lambda tiny: write(tiny, "sentence_bert_config.json", {"max_seq_length": 4, "do_lower_case": True}),
        lambda tiny: write(tiny, "modules.json", {"none": 1}),
        lambda tiny: (tiny / "modules.json").write_text("not JSON"),
    ],
)
def test_a_model_that_is_more_than_a_graph_is_left_to_its_library(
    tiny: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is left out: without the library it is refused, and so is its graph by name."""
    monkeypatch.setattr(sentences, "find_spec", lambda name: None if name == "sentence_transformers" else object())
    assert SentenceModel(str(tiny)).name
    change(tiny)
    with pytest.raises(BadInput, match=r"not installed: pip install 'swarm-ledger\[sentences\]'"):
        _ = SentenceModel(str(tiny)).name
    with pytest.raises(BadInput, match="is more than a graph"):
        _ = SentenceModel(str(tiny / "onnx/model.onnx")).name


@pytest.fixture
def library(tmp_path: Path) -> str:
    """A directory with a tiny BERT of random weights, as its library saves it."""
    found = pytest.importorskip("sentence_transformers", reason="needs the extra sentences")
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(1)
    source, target = tmp_path / "bert", tmp_path / "saved"
    source.mkdir()
    (source / "vocab.txt").write_text("\n".join(WORDS))
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **shape)).save_pretrained(source)
    BertTokenizerFast(vocab_file=str(source / "vocab.txt")).save_pretrained(source)
    found.SentenceTransformer(str(source)).save(str(target))
    return str(target)


def test_texts_are_rows_and_equal_texts_are_equal_rows(library: str) -> None:
    """Whatever else is in the batch; a long text is cut by the model."""
    embedder = SentenceModel(library)
    rows = embedder.embed(["the cat sat", "dog", "the cat sat", "cat " * 500])
    assert rows.shape == (4, 16)
    assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(rows[0], rows[2], strict=True))
    assert not all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(rows[0], rows[1], strict=True))
    alone = embedder.embed(["dog"])
    assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(rows[1], alone[0], strict=True))


@pytest.mark.filterwarnings("ignore")  # of the exporter, which is an old one
def test_a_graph_gives_the_vectors_that_the_library_gives(library: str) -> None:
    """Of the same weights, for short texts, long ones and none."""
    import torch
    from transformers import BertModel

    texts = ["the cat sat", "dog", "", "cat the dog sat " * 50]
    by_library = SentenceModel(library)
    expected = by_library.embed(texts)
    bert = BertModel.from_pretrained(library, attn_implementation="eager").eval().requires_grad_(False)

    class Tokens(torch.nn.Module):
        def forward(self, ids: Any, mask: Any) -> Any:
            return bert(input_ids=ids, attention_mask=mask).last_hidden_state

    names, ones = ["input_ids", "attention_mask", "last_hidden_state"], torch.ones(2, 5, dtype=torch.int64)
    free = {name: {0: "texts", 1: "tokens"} for name in names}
    file = f"{library}/model.onnx"
    torch.onnx.export(
        Tokens(), (ones, ones), file, input_names=names[:2], output_names=names[2:], dynamic_axes=free, dynamo=False
    )
    by_graph = SentenceModel(library)
    found = by_graph.embed(texts)
    assert by_graph.name != by_library.name
    assert np.allclose(units(found), units(expected), atol=1e-5)


def units(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


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
    with pytest.raises(BadInput, match=r"not installed: pip install 'swarm-ledger\[sentences\]'"):
        _ = SentenceModel(str(directory(tmp_path))).name


def test_a_broken_model_is_refused(tmp_path: Path) -> None:
    """A file of weights that is none, or settings that name no module."""
    pytest.importorskip("sentence_transformers", reason="needs the extra sentences")
    broken = directory(tmp_path)
    with pytest.raises(BadInput, match="cannot be loaded"):
        SentenceModel(str(broken)).embed(["the cat"])
    (broken / "modules.json").write_text("not JSON")
    with pytest.raises(BadInput, match="cannot be loaded"):
        SentenceModel(str(broken)).embed(["the cat"])
