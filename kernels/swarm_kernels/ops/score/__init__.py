"""The score of TriAttention."""

__all__: list[str] = []
