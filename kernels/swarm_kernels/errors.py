"""What can go wrong in the compression of a cache, as a tree. Each message says what to do next.

KVError
├── BadPolicy            the policy contradicts itself or the model (also a ValueError)
├── BadTensor            keys, values or queries that cannot be compressed: shape, dtype, NaN (also a ValueError)
├── BadFile              a saved cache that is damaged, or of another model, policy or text
├── Unsupported          this model, head size or operation is not supported; nothing was compressed
└── NothingCompressed    a run that was asked to compress compressed nothing
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cache import Report

__all__ = ["BadFile", "BadPolicy", "BadTensor", "KVError", "NothingCompressed", "Unsupported"]


class KVError(Exception):
    """The base of every error that this package raises on purpose."""


class BadPolicy(KVError, ValueError):
    """The policy contradicts itself or the model."""


class BadTensor(KVError, ValueError):
    """Keys, values or queries that cannot be compressed; `layer` and `head` say where, where that is known."""

    def __init__(self, message: str, layer: int | None = None, head: int | None = None) -> None:
        self.layer, self.head = layer, head
        super().__init__(message)


class BadFile(KVError):
    """A saved cache that is not there, is damaged, or was computed from something else."""


class Unsupported(KVError):
    """This model, head size or operation is not supported. Nothing was compressed."""


class NothingCompressed(KVError):
    """A run that was asked to compress compressed nothing: its figures would be those of a full cache.

    `report` is what was done all the same.
    """

    def __init__(self, message: str, report: Report) -> None:
        self.report = report
        super().__init__(message)
