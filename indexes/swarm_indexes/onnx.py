"""A model of sentence-transformers as an ONNX graph, run by ONNX Runtime on the processor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import quoted

try:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer
except ImportError:
    raise BadInput("a graph needs numpy, onnxruntime and tokenizers: pip install 'swarm-ledger[meaning]'") from None

__all__ = ["OnnxModel"]

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_FATAL = 4
"""All that ONNX Runtime prints: an error is raised too, and what it warns of is nothing that a user could mend."""


class OnnxModel:
    """The graph, its tokens, and what makes one vector of those of all tokens."""

    def __init__(self, graph: str, tokenizer: str, most: int, pooling: str) -> None:
        """`graph` and `tokenizer` are files; `most` tokens of a text are taken in; `pooling` is "mean" or "cls".

        Raises BadInput.
        """
        self._graph = graph
        self._mean = pooling == "mean"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = 1  # a text is short: threads would wait for each other
        try:
            self._tokens = Tokenizer.from_file(tokenizer)
            self._tokens.no_padding()
            self._tokens.enable_truncation(most)
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # these libraries have no tree of errors
            raise BadInput(f"the model {quoted(graph)} cannot be loaded: {_first_line(error)}") from None
        self._inputs = [put.name for put in self._session.get_inputs()]
        self._output = self._session.get_outputs()[0]
        if not set(self._inputs) <= _INPUTS or len(self._output.shape) != 3:
            raise BadInput(
                f"{quoted(graph)} does not give a vector for each token: it takes {', '.join(self._inputs)} "
                f"and gives {self._output.name} {self._output.shape}. Name the graph that has `last_hidden_state`."
            )

    def embed(self, texts: Sequence[str]) -> Any:
        """A vector for each of `texts`.

        Each is computed alone: a quantised graph would give a text another vector in other company. Raises BadInput.
        """
        if len(texts) == 1:
            return np.stack([self._vector(texts[0])])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(self._vector, texts)))

    def _vector(self, text: str) -> Any:
        tokens = self._tokens.encode(text)
        given = {"input_ids": tokens.ids, "attention_mask": tokens.attention_mask, "token_type_ids": tokens.type_ids}
        batch = {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
        try:
            (found,) = self._session.run([self._output.name], batch)[0]  # (tokens, size)
        except Exception as error:
            # Such as a token or a place beyond the graph's tables: the settings beside it are of another model.
            raise BadInput(
                f"the model {quoted(self._graph)} cannot be run on {len(tokens.ids)} tokens: {_first_line(error)}"
            ) from None
        return found.mean(axis=0) if self._mean else found[0]


def _first_line(error: Exception) -> str:
    return "".join(str(error).strip().splitlines()[:1])[:300]
