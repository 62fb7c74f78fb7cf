"""TurboQuant's quantiser for mean squared error: rotate, round each coordinate to a codebook, keep the norm.

x = |x|·u, y = Πu, each y_j rounded to the nearest of the levels of codebook.py; back: scale · Πᵀ levels[code].
Stored: bits·d/8 bytes of codes in bit planes (planes.py) and one float16 scale a vector.
(Zandieh et al., arXiv 2504.19874; the scale that undoes the shrinking is that of EDEN, Vargaftik et al. 2022.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .codebook import centroids
from .errors import BadTensor
from .ops.quantize import dequantize, quantize
from .planes import packed_bytes
from .rotation import rotation_matrix

__all__ = ["Packed", "Quantizer"]


@lru_cache(maxsize=64)
def _rotation_on(d: int, seed: int, device: str) -> Tensor:
    return rotation_matrix(d, seed).to(device)


@lru_cache(maxsize=64)
def _levels_on(d: int, bits: int, device: str) -> Tensor:
    return torch.tensor(centroids(d, bits), device=device)


@dataclass(frozen=True)
class Quantizer:
    """Quantises vectors of d dimensions to `bits` bits a value, with the rotation of `seed`.

    With `unbiased` the stored scale is |x| / <y, ỹ>, so that <x̂, x> = |x|² for every vector: rounding shrinks a vector
    by 1 - D, which on keys is a temperature on every logit, and on values a factor on every output. Without it the
    scale is |x| and E|x - x̂|² is least: the D_mse of the paper.

    Raises BadPolicy for bits outside 1 to 8, Unsupported for a d that is no multiple of 8.
    """

    d: int
    bits: int
    seed: int = 0
    unbiased: bool = False

    def __post_init__(self) -> None:
        packed_bytes(self.d, self.bits)
        centroids(self.d, self.bits)

    def rotation(self, device: torch.device | str = "cpu") -> Tensor:
        """The rotation Π, float32 [d, d]: y = x @ Π.T. One tensor for all who ask; not to be written to."""
        return _rotation_on(self.d, self.seed, str(device))

    def levels(self, device: torch.device | str = "cpu") -> Tensor:
        """The codebook, float32 [2^bits], ascending. One tensor for all who ask; not to be written to."""
        return _levels_on(self.d, self.bits, str(device))

    def quantize(self, x: Tensor, by: Callable[..., tuple[Tensor, Tensor]] = quantize) -> Packed:
        """Vectors, floating [..., d] → Packed. Zero vectors come back as zeros. `by` is a backend's operation.

        Raises BadTensor where a vector is NaN, infinite or longer than float16 can say (65,504).
        """
        if x.shape[-1] != self.d or not x.is_floating_point():
            raise BadTensor(
                f"vectors of {tuple(x.shape)} {x.dtype} given to a quantiser of floats in {self.d} dimensions"
            )
        codes, norms = by(x, self.rotation(x.device), self.levels(x.device), self.bits, self.unbiased)
        if not bool(norms.isfinite().all()):
            raise BadTensor(
                "a vector to be quantised is NaN, infinite, or longer than 65,504; look for an overflow upstream"
            )
        return Packed(codes, norms, self)


@dataclass(frozen=True)
class Packed:
    """Quantised vectors [..., d] as they are stored."""

    codes: Tensor
    """uint8 [..., d·bits/8], rows of bit planes."""
    norms: Tensor
    """float16 [...], the scale of each vector."""
    quantizer: Quantizer

    @property
    def shape(self) -> torch.Size:
        """The shape of the vectors."""
        return torch.Size((*self.norms.shape, self.quantizer.d))

    @property
    def nbytes(self) -> int:
        """The bytes of the two tensors: d·bits/8 + 2 a vector. The rotation and the codebook are the model's."""
        return self.codes.nbytes + self.norms.nbytes

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The vectors, [..., d]."""
        q = self.quantizer
        rotated = dequantize(self.codes, self.norms, q.levels(self.codes.device), q.bits)
        return (rotated @ q.rotation(self.codes.device)).to(dtype)
