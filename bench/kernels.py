"""`python -m bench.kernels`: compile every Triton kernel for sm_80 and sm_90, without a GPU, and hold what it takes.

Registers, spills and shared memory of each are compared with `kernels.json` beside this file (exactly under the
Triton that wrote it; spills and the limits of the chip under any). `--write` records them anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["main"]

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.json")
SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024}
"""Shared memory that one block may have, in bytes, by architecture."""
HEADS, GROUP = 8, 4
"""KV heads, and query heads of each: those of Llama-3.1-8B."""


class Case(NamedTuple):
    """One specialisation of a kernel."""

    name: str
    kernel: Any
    types: dict[str, str]
    """Types of pointers and floats by argument; every other argument that is no constant is an i32."""
    constants: dict[str, Any]
    options: dict[str, int]


def cases() -> Iterator[Case]:
    """Every kernel as it is launched, at the sizes of the models in use."""
    import triton.language as tl

    from swarm_kernels.ops.decode import kernel as decode
    from swarm_kernels.ops.dense import kernel as dense
    from swarm_kernels.ops.quantize import kernel as quantize
    from swarm_kernels.ops.score import kernel as score

    parts = {"outs": "*fp32", "lses": "*fp32", "lengths": "*i32", "q_scale": "fp32", "q": "*fp32"}
    packed = {"k_codes": "*u8", "k_norms": "*fp16", "k_terms": "*fp16", "v_codes": "*u8", "v_norms": "*fp16"}
    packed |= {"v_terms": "*fp16", "v_scale": "fp32", **parts}
    for d, kbits, vbits, biased in (
        *((128, bits, bits, False) for bits in (4, 3, 2)),
        (128, 4, 3, False),
        (128, 4, 4, True),
        (64, 4, 4, False),
        (64, 3, 3, True),
        (96, 4, 4, False),
        (256, 4, 4, False),
        (256, 3, 3, True),
    ):
        types = packed | {"bias": "*fp32"} if biased else packed
        constants = {"HEADS": HEADS, "D": d, "K_BITS": kbits, "V_BITS": vbits, "HAS_BIAS": biased}
        constants |= {"s_bt": 1} if biased else {}  # as a launch sees it: what is 1 is a constant
        name = f"decode d={d} k{kbits} v{vbits}{' bias' if biased else ''}"
        yield _case(name, decode.split_kernel, types, constants, decode.split_meta(d))
    for splits, d in ((2, 128), (64, 128), (64, 256)):
        types = {"outs": "*fp32", "lses": "*fp32", "out": "*fp32", "lse": "*fp32"}
        constants = {"SPLITS": splits, "D": d}
        yield _case(f"merge d={d} splits={splits}", decode.merge_kernel, types, constants, decode.merge_meta(splits, d))
    for d, rows, dtype in (
        (64, 4, "bf16"),
        (128, 4, "bf16"),
        (128, 32, "fp16"),
        (256, 4, "bf16"),
        (256, 32, "bf16"),
        (128, 4, "fp32"),
    ):
        types = parts | {"q": f"*{dtype}", "k": f"*{dtype}", "v": f"*{dtype}"}
        dot = {"bf16": tl.bfloat16, "fp16": tl.float16, "fp32": tl.float32}[dtype]
        constants = {"HEADS": HEADS, "D": d, "HAS_BIAS": False, "DOT": dot}
        yield _case(f"dense d={d} {dtype} rows={rows}", dense.dense_kernel, types, constants, dense.dense_meta(d, rows))
    for d, group in ((64, 7), (128, 4), (256, 8)):
        types = {"keys": "*bf16", "centre": "*fp32", "spread": "*fp32", "out": "*fp32"}
        constants = {"HEADS": HEADS, "GROUP": group, "D": d}
        yield _case(f"score d={d} g={group}", score.score_kernel, types, constants, score.score_meta(d))
    for d, bits in ((64, 4), (128, 2), (128, 3), (128, 4), (256, 4)):
        types = {"x": "*bf16", "rotation": "*fp32", "levels": "*fp32", "codes": "*u8", "norms": "*fp16"}
        constants = {"D": d, "BITS": bits, "UNBIASED": True}
        yield _case(f"quantize d={d} b={bits}", quantize.quantize_kernel, types, constants, quantize.quantize_meta(d))


def _case(name: str, kernel: Any, types: dict[str, str], constants: dict[str, Any], meta: dict[str, Any]) -> Case:
    blocks = {key: value for key, value in meta.items() if key != "num_warps"}
    missing = {} if "bias" in types or "bias" not in kernel.arg_names else {"bias": None}
    return Case(name, kernel, types, constants | blocks | missing, {"num_warps": meta["num_warps"]})


def resources(case: Case, architecture: int, directory: str) -> dict[str, int]:
    """Registers a thread, bytes spilled a thread and bytes of shared memory a block, read from the machine code."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = case.kernel.arg_names
    signature = {name: "constexpr" if name in case.constants else case.types.get(name, "i32") for name in names}
    # A launch finds out by itself what is a multiple of 16: where tensors begin, and all strides but of some codes.
    d, constants = case.constants["D"], case.constants
    odd = {name for name, bits in (("s_kt", "K_BITS"), ("s_vt", "V_BITS")) if d * constants.get(bits, 0) // 8 % 16}
    aligned = [i for i, name in enumerate(names) if signature[name][0] == "*" or name.startswith("s_")]
    aligned = [i for i in aligned if names[i] not in odd | {"s_bt"}]
    source = ASTSource(
        case.kernel,
        signature=signature,
        constexprs={(names.index(name),): value for name, value in case.constants.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i in aligned},
    )
    target = GPUTarget("cuda", architecture, 32)
    compiled = triton.compile(source, target=target, options=case.options)
    path = os.path.join(directory, "kernel.cubin")
    with open(path, "wb") as file:
        file.write(compiled.asm["cubin"])
    tool = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin", "cuobjdump")
    listing = subprocess.run([tool, "--dump-resource-usage", path], check=True, capture_output=True, text=True).stdout
    found = {key: int(value) for key, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", listing)}
    return {
        "registers": found["REG"],
        "spilled": found["STACK"] + found["LOCAL"],
        "shared": compiled.metadata.shared,
    }


def faults(measured: dict[str, dict[str, int]], recorded: dict[str, Any], version: str) -> list[str]:
    """What is wrong with the resources of kernels, in words; both name them "<case> sm_<architecture>"."""
    found = []
    for name, taken in measured.items():
        limit = SHARED_LIMIT[int(name.rpartition("_")[2])]
        if taken["spilled"]:
            found.append(f"{name} spills {taken['spilled']} bytes a thread")
        if taken["shared"] > limit:
            found.append(f"{name} takes {taken['shared']} bytes of shared memory, a block has {limit}")
        then = recorded["kernels"].get(name)
        if version == recorded["triton"] and taken != then:
            found.append(f"{name} takes {taken}, recorded is {then}; look why, then run with --write")
    return found


def main() -> int:
    """Compile and compare; 0 where all is as recorded."""
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="only kernels whose name begins so")
    parser.add_argument("--write", action="store_true", help="record what is measured")
    options = parser.parse_args()
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
    import triton

    with tempfile.TemporaryDirectory(prefix="swarm-kernels-") as directory:
        measured = {
            f"{case.name} sm_{architecture}": resources(case, architecture, directory)
            for case in cases()
            if case.name.startswith(options.only)
            for architecture in SHARED_LIMIT
        }
    for name, taken in measured.items():
        print(f"{name:40} {taken['registers']:4} registers {taken['spilled']:4} spilled {taken['shared']:7} shared")
    if options.write:
        with open(RECORD, "w", encoding="utf-8") as file:
            json.dump({"triton": triton.__version__, "kernels": measured}, file, indent=1)
            file.write("\n")
    with open(RECORD, encoding="utf-8") as file:
        recorded = json.load(file)
    found = faults(measured, recorded, triton.__version__)
    for fault in found:
        print(f"MISS {fault}")
    if triton.__version__ != recorded["triton"]:
        print(f"Triton {triton.__version__}; the record is of {recorded['triton']}: only spills and limits were held")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
