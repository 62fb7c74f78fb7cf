"""Settings of the tests of kernels."""

import torch

torch.set_num_threads(1)  # the tensors are small, and pytest-xdist has the cores
