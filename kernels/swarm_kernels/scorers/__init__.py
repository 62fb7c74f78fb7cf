"""Ways to say which tokens matter, one file each over a shared base."""

from __future__ import annotations

from ..backend import Backend
from ..calibration import Calibration
from ..errors import BadPolicy
from ..policy import Policy
from .base import Held, Scorer
from .knorm import Knorm
from .pyramidkv import PyramidKV
from .random import Random
from .rkv import RKV
from .snapkv import SnapKV
from .streaming import Streaming
from .triattention import TriAttention

__all__ = ["Held", "Scorer", "scorer_of"]


def scorer_of(policy: Policy, calibration: Calibration | None, backend: Backend) -> Scorer | None:
    """The scorer that a policy names, None where it evicts nothing. Raises BadPolicy where it lacks its calibration."""
    if policy.evict == "triattention":
        if calibration is None:
            raise BadPolicy(
                "policy: triattention needs a calibration of the model: swarm_kernels.calibration.calibrate"
            )
        return TriAttention(calibration, backend)
    if policy.evict == "random":
        return Random(policy.seed)
    simple: dict[str, type[Scorer]] = {
        "snapkv": SnapKV,
        "pyramidkv": PyramidKV,
        "rkv": RKV,
        "streaming": Streaming,
        "knorm": Knorm,
    }
    return simple[policy.evict]() if policy.evict else None
