"""Quantise and pack vectors."""

__all__: list[str] = []
