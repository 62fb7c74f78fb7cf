"""Models of sentence-transformers, from a directory of this machine; nothing is ever fetched.

Where the directory has an ONNX graph, as most published ones have, ONNX Runtime runs that: it loads in a quarter of a
second. Else the library itself runs the model, which takes seconds to load.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import quoted

__all__ = ["SentenceModel"]

_ENDS = 64 * 1024
"""Of so many bytes at either end of a file of weights the name is made: all of it would take as long as a query."""
_BATCH = 32
_GRAPHS = ("onnx/model.onnx", "model.onnx")
"""Where a directory has the graph that is meant if none is named."""
_PLAIN = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
"""The modules of a model of which a graph is all but the pooling; a vector's length makes no difference to a cosine."""
_POOLING = {
    "cls": "cls",
    "mean": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
}


class SentenceModel:
    """The model in a directory, loaded by the first text. Weights are safetensors or ONNX: none of its code is run."""

    def __init__(self, path: str) -> None:
        """`path` is the directory, or a file in it that ends in .onnx: the graph that is to be run.

        Nothing is looked at yet: who never searches needs no model.
        """
        self._path = os.path.abspath(path)
        self._run: Callable[[Sequence[str]], Any] | None = None

    @cached_property
    def name(self) -> str:
        """The directory's name and what tells its content from another's. Raises BadInput where no such model is."""
        directory, graph = self._found
        called = os.path.basename(directory)
        if graph == self._path:
            called += "/" + os.path.basename(graph)
        return f"{called} {_fingerprint(directory, graph)}"

    def embed(self, texts: Sequence[str]) -> Any:
        """A vector for each of `texts`; the model says how much of a long one it takes in. Raises BadInput."""
        if self._run is None:
            directory, graph = self._found
            self._run = _of_graph(directory, graph) if graph else _of_library(directory)
        return self._run(texts)

    @cached_property
    def _found(self) -> tuple[str, str]:
        """The directory, and the graph that is run, or "" where the library runs the model. Raises BadInput."""
        directory, graph = self._path, ""
        if directory.endswith(".onnx") and not os.path.isdir(directory):
            graph = directory
            if not os.path.isfile(graph):
                raise BadInput(f"there is no file {quoted(graph)}: name a graph, or the directory of a model.")
            directory = os.path.dirname(graph)
            if os.path.basename(directory) == "onnx":
                directory = os.path.dirname(directory)
        if not os.path.isfile(f"{directory}/modules.json"):
            raise BadInput(
                f"{quoted(directory)} has no sentence-transformers model: no modules.json is there.\n"
                "Name the directory that SentenceTransformer.save() wrote."
            )
        plain = _pooling(directory)
        if graph and not plain:
            raise BadInput(
                f"the model in {quoted(directory)} is more than a graph: name the directory, and its library runs it."
            )
        if plain and not graph:
            graph = next((path for name in _GRAPHS if os.path.isfile(path := f"{directory}/{name}")), "")
        if graph and find_spec("onnxruntime") is None:
            raise BadInput("onnxruntime is not installed: pip install 'swarm-ledger[meaning]'")
        if not graph and find_spec("sentence_transformers") is None:
            raise BadInput(
                f"{quoted(directory)} has no onnx/model.onnx that could be run alone, and the library that runs it\n"
                "without is not installed: pip install 'swarm-ledger[sentences]'"
            )
        return directory, graph


def _fingerprint(directory: str, graph: str) -> str:
    """What tells the model in `directory` from another: 8 hex digits of its settings and both ends of its weights."""
    digest = blake2b(digest_size=4)
    for parent, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            path = f"{parent}/{name}"
            weights = path.startswith(graph) if graph else name.endswith(".safetensors")  # a graph's may be beside it
            if weights or name.endswith(".json"):
                with open(path, "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    digest.update(f"{name} {size} ".encode() + file.read(_ENDS))
                    file.seek(max(0, size - _ENDS))
                    digest.update(file.read(_ENDS))
    return digest.hexdigest()


def _pooling(directory: str) -> str:
    """What a text's vector is of those of its tokens: "mean", "cls" (the first), or "" where it is something else."""
    try:
        modules = _settings(directory, "modules.json")
        if [module["type"].rpartition(".")[2] for module in modules] not in _PLAIN:
            return ""
        prompted = _settings(directory, "config_sentence_transformers.json").get("default_prompt_name")
        lowered = _settings(directory, "sentence_bert_config.json").get("do_lower_case")
        pooling = _settings(directory, f"{modules[1]['path']}/config.json")
        modes = {key for key, on in pooling.items() if on is True} - {"include_prompt"} or {pooling["pooling_mode"]}
        (mode,) = modes
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""  # if something is wrong with it, the library says so
    return "" if prompted or lowered else _POOLING.get(mode, "")


def _most_tokens(directory: str) -> int:
    """How many tokens of a text the model takes in. Raises BadInput where nothing says it."""
    given = [
        _settings(directory, name).get(key)
        for name, key in (
            ("sentence_bert_config.json", "max_seq_length"),
            ("tokenizer_config.json", "model_max_length"),
            ("config.json", "max_position_embeddings"),
        )
    ]
    most = min((int(one) for one in given if isinstance(one, int | float)), default=0)
    if most < 1:
        raise BadInput(f"nothing in {quoted(directory)} says how many tokens the model takes in (max_seq_length).")
    return most


def _settings(directory: str, name: str) -> Any:
    """What the file has; nothing where there is none."""
    path = f"{directory}/{name}"
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _of_graph(directory: str, graph: str) -> Callable[[Sequence[str]], Any]:
    from .onnx import OnnxModel

    return OnnxModel(graph, f"{directory}/tokenizer.json", _most_tokens(directory), _pooling(directory)).embed


def _of_library(directory: str) -> Callable[[Sequence[str]], Any]:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(directory, local_files_only=True, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = str(error).strip().splitlines()[:1]
        raise BadInput(f"the model in {directory} cannot be loaded: {''.join(first)[:300]}") from None
    finally:
        if shown:
            logging.enable_progress_bar()

    def embed(texts: Sequence[str]) -> Any:
        threads = torch.get_num_threads()
        if len(texts) == 1:
            torch.set_num_threads(1)  # a question is short; where others compute too, threads wait for each other
        try:
            return model.encode(list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)
        finally:
            torch.set_num_threads(threads)

    return embed
