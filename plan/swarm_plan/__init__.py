"""Plans as task graphs. Nothing is here yet: plan and task entries are kept by the ledger, without a graph."""

__all__: list[str] = []
