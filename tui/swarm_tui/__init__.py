"""The terminal program that watches a ledger. Nothing is here yet: `swarm status` shows the same figures."""

__all__: list[str] = []
