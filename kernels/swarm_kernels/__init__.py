"""KV-cache compression for local models. Nothing is here yet: this release keeps and finds text only."""

__all__: list[str] = []
