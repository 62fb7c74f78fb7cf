"""The score of TriAttention."""

from .reference import score

__all__ = ["score"]
