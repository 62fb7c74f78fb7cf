"""Attention of a few queries over packed keys and values."""

__all__: list[str] = []
