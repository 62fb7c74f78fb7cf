"""Random rotations by seed: a randomised Hadamard transform in three rounds, dense where the size is no power of two.

One round leaves a one-hot vector with coordinates of equal size, two leave it up to 8 % off the codebook's distortion
at 2 bits; three behave like a Haar rotation for every input that was tried.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["rotation_matrix"]

ROUNDS = 3


@lru_cache(maxsize=64)
def rotation_matrix(d: int, seed: int) -> Tensor:
    """An orthogonal matrix, float32 [d, d] on the CPU; y = x @ matrix.T rotates, x = y @ matrix rotates back.

    The same seed gives the same matrix in every process. d² numbers shared by a whole model, and one matrix product,
    cost less at head sizes than log2(d) butterflies one after the other.
    """
    generator = torch.Generator().manual_seed(seed)
    if d & (d - 1):
        gaussian = torch.randn(d, d, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(gaussian)
        haar: Tensor = (q * r.diagonal().sign()).float()
        return haar
    hadamard = torch.ones(1, 1, dtype=torch.float64)
    while hadamard.shape[0] < d:
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)], 0)
    hadamard /= d**0.5
    matrix = torch.eye(d, dtype=torch.float64)
    for _ in range(ROUNDS):
        signs = torch.randint(0, 2, (d,), generator=generator).double() * 2 - 1
        matrix = hadamard @ (signs[:, None] * matrix)
    return matrix.float()
