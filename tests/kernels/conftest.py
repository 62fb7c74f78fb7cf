"""Settings of the tests of kernels: one thread, and Triton interpreted where there is no GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)  # the tensors are small, and pytest-xdist has the cores
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # asked once, when a module with kernels is imported


@pytest.fixture
def device() -> str:
    """Where kernels run."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Memory is NaN, or the greatest integer, until it is written."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
