"""The operations that have a Triton kernel, one folder each, with the plain PyTorch reference beside it.

Reference and kernel take the same arguments. Nothing here knows of models, policies or caches.
"""

__all__: list[str] = []
