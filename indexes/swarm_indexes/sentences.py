"""Models of the library sentence-transformers, from a directory of this machine; nothing is ever fetched."""

from __future__ import annotations

import os
from collections.abc import Sequence
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


class SentenceModel:
    """The model in a directory, loaded by the first text. Its weights are safetensors: none of its code is run."""

    def __init__(self, directory: str) -> None:
        """Nothing is looked at yet: who never searches needs no model."""
        self._directory = os.path.abspath(directory)
        self._model: Any = None

    @cached_property
    def name(self) -> str:
        """The directory's name and what tells its content from another's. Raises BadInput where no such model is."""
        if not os.path.isfile(f"{self._directory}/modules.json"):
            raise BadInput(
                f"{quoted(self._directory)} has no sentence-transformers model: no modules.json is there.\n"
                "Name the directory that SentenceTransformer.save() wrote."
            )
        if find_spec("sentence_transformers") is None:
            raise BadInput("sentence-transformers is not installed: pip install 'swarm-ledger[meaning]'")
        return f"{os.path.basename(self._directory)} {_fingerprint(self._directory)}"

    def embed(self, texts: Sequence[str]) -> Any:
        """A vector for each of `texts`; the model says how much of a long one it takes in. Raises BadInput."""
        if self._model is None:
            self._model = _load(self._directory)
        import torch

        threads = torch.get_num_threads()
        if len(texts) == 1:
            torch.set_num_threads(1)  # a question is short; where others compute too, threads wait for each other
        try:
            return self._model.encode(list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)
        finally:
            torch.set_num_threads(threads)


def _fingerprint(directory: str) -> str:
    """What tells the model in `directory` from another: 8 hex digits of its settings and both ends of its weights."""
    digest = blake2b(digest_size=4)
    for parent, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            if name.endswith((".json", ".safetensors")):
                with open(f"{parent}/{name}", "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    digest.update(f"{name} {size} ".encode() + file.read(_ENDS))
                    file.seek(max(0, size - _ENDS))
                    digest.update(file.read(_ENDS))
    return digest.hexdigest()


def _load(directory: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(directory, local_files_only=True, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = str(error).strip().splitlines()[:1]
        raise BadInput(f"the model in {directory} cannot be loaded: {''.join(first)[:300]}") from None
    finally:
        if shown:
            logging.enable_progress_bar()
