"""KV-cache compression for local models: TurboQuant, TriAttention and a cache for transformers that uses both.

Only this package imports torch, and none of its modules is imported by a command that needs no model:
`pip install 'swarm-ledger[kv]'` brings what it needs.
"""

__all__: list[str] = []
