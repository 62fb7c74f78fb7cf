"""Bit planes hold every value in exactly d·bits/8 bytes."""

from __future__ import annotations

import pytest
import torch

from swarm_kernels.errors import Unsupported
from swarm_kernels.planes import pack, packed_bytes, plane_widths, unpack


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("d", [40, 64, 80, 96, 128, 256])
def test_round_trip_of_all_values(bits: int, d: int) -> None:
    """All 2^bits values in every dimension, an odd number of rows: packed and back, nothing is lost."""
    rows = 2**bits + (2**bits) % 2 + 1
    codes = ((torch.arange(rows)[:, None] + torch.arange(d)) % 2**bits).to(torch.uint8)
    packed = pack(codes, bits)
    assert packed.shape == (rows, -(-bits * d // 8))
    assert packed.dtype == torch.uint8
    assert torch.equal(unpack(packed, d, bits), codes)


@pytest.mark.parametrize("bits", range(1, 9))
def test_layout_is_as_the_module_says(bits: int) -> None:
    """A slow reading of the layout, bit by bit, finds the same values."""
    d = 40
    codes = torch.randint(0, 2**bits, (3, d), generator=torch.Generator().manual_seed(bits), dtype=torch.uint8)
    packed = pack(codes, bits)
    for row in range(3):
        for dimension in range(d):
            value, start, shift = 0, 0, 0
            for width in plane_widths(bits):
                size = d * width // 8
                byte = int(packed[row, start + dimension % size])
                value |= (byte >> (dimension // size * width) & (2**width - 1)) << shift
                start, shift = start + size, shift + width
            assert value == int(codes[row, dimension])


def test_high_nibbles_are_the_upper_half() -> None:
    """At 4 bits and d = 16, byte 3 holds dimension 3 in its low half and dimension 11 in its high half."""
    codes = torch.zeros(16, dtype=torch.uint8)
    codes[3], codes[11] = 0x5, 0xA
    assert pack(codes, 4).tolist() == [0, 0, 0, 0xA5, 0, 0, 0, 0]


@pytest.mark.parametrize("d", [0, 7, 36])
def test_sizes_that_are_no_whole_bytes_are_refused(d: int) -> None:
    """A plane is whole bytes, so d is a multiple of 8."""
    with pytest.raises(Unsupported):
        packed_bytes(d, 3)
