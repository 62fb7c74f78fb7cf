"""TurboQuant's quantiser for inner products: one bit less for the vector, one bit for a sketch of what is left.

x̂ = |x| (ũ + γ √(π/2)/d · Sᵀ sign(S r)), r = u - ũ, γ = |r|: unbiased for every inner product. It is here as a
reference and no cache uses it: at equal bits its squared error of <y, x> is three to five times that of the plain
quantiser, and a softmax turns variance of a logit into bias of the output, while the plain quantiser's own bias, a
shrinking, is undone by its scale. (Zandieh et al., arXiv 2504.19874; QJL, arXiv 2406.03482.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .planes import pack, unpack
from .rotation import rotation_matrix
from .turboquant import Packed, Quantizer

__all__ = ["InnerProductQuantizer", "Sketched"]


@dataclass(frozen=True)
class InnerProductQuantizer:
    """bits - 1 bits a value by rounding, one by the signs of a random projection S of the rest.

    S is Gaussian, [d, d], or with `orthogonal` a random rotation, which has less variance.
    """

    d: int
    bits: int
    seed: int = 0
    orthogonal: bool = False

    def sketch(self) -> Tensor:
        """S, float32 [d, d]."""
        if self.orthogonal:
            return rotation_matrix(self.d, self.seed + 1)
        return torch.randn(self.d, self.d, generator=torch.Generator().manual_seed(self.seed + 1))

    def quantize(self, x: Tensor) -> Sketched:
        """Vectors, floating [..., d] → Sketched."""
        norm = x.float().norm(dim=-1, keepdim=True)
        unit = x.float() / norm.clamp_min(torch.finfo(torch.float32).tiny)
        rounded = Quantizer(self.d, self.bits - 1, self.seed).quantize(unit) if self.bits > 1 else None
        rest = unit - rounded.dequantize() if rounded else unit
        signs = pack((rest @ self.sketch().T > 0).to(torch.uint8), 1)
        return Sketched(rounded, signs, rest.norm(dim=-1).half(), norm[..., 0].half(), self)


@dataclass(frozen=True)
class Sketched:
    """What InnerProductQuantizer stores."""

    rounded: Packed | None
    """The unit vectors at bits - 1 bits; their own norms, all 1 but for zero vectors, need not be stored."""
    signs: Tensor
    """uint8 [..., d/8]."""
    rest_norms: Tensor
    """float16 [...]."""
    norms: Tensor
    """float16 [...]."""
    quantizer: InnerProductQuantizer

    @property
    def nbytes(self) -> int:
        """bits·d/8 + 4 a vector."""
        codes = self.rounded.codes.nbytes if self.rounded else 0
        return codes + self.signs.nbytes + self.rest_norms.nbytes + self.norms.nbytes

    def dequantize(self) -> Tensor:
        """Vectors whose inner products are unbiased, float32 [..., d]."""
        q = self.quantizer
        scale = math.sqrt(math.pi / 2 / q.d) if q.orthogonal else math.sqrt(math.pi / 2) / q.d
        signs = unpack(self.signs, q.d, 1).float() * 2 - 1
        unit = self.rest_norms.float()[..., None] * scale * (signs @ q.sketch())
        if self.rounded:
            unit = unit + self.rounded.dequantize()
        return self.norms.float()[..., None] * unit
