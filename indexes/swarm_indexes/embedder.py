"""What turns texts into vectors, for those who want entries found that share no word with a question.

None is needed. `swarm_indexes.sentences` is one for models of sentence-transformers; anything of this shape is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["Embedder"]


class Embedder(Protocol):
    """A model of what texts mean: near vectors for texts that mean the same."""

    @property
    def name(self) -> str:
        """The model and its version, for people and for the file of its vectors: another model has another name."""

    def embed(self, texts: Sequence[str]) -> Any:
        """A vector for each of `texts`, as numpy takes it: len(texts) rows of one length. Their own lengths are free.

        Texts may be long; what the model cannot take in is cut. Raises BadInput where it cannot be loaded.
        """
