"""Retrieval over the ledger: derived, rebuildable, brought up to date by whoever asks first after a write."""

__all__: list[str] = []
