"""Attention of a few queries over keys and values that are not packed: the window, and the baseline of the figures."""

from .reference import attend

__all__ = ["attend"]
