"""Attention of a few queries over packed keys and values."""

from .reference import decode, merge

__all__ = ["decode", "merge"]
