"""A saved cache is read back by another process as it was, or refused with the reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swarm_kernels import saved
from swarm_kernels.cache import CompressedCache
from swarm_kernels.calibration import Calibration, calibrate
from swarm_kernels.errors import BadFile, BadTensor
from swarm_kernels.policy import Policy
from swarm_kernels.saved import key_of, restore, save
from tests.children import exiting
from tests.kernels.models import logits, tiny, tokens

POLICY = Policy(evict="triattention", budget=24, prune_prompt=True, window=5, slack=3, sinks=2, prefix=2)
IDS = tokens(2, 40)


def computed(model: Any, policy: Policy = POLICY, calibration: Calibration | None = None) -> CompressedCache:
    """The cache of IDS."""
    cache = CompressedCache(model, policy, calibration)
    logits(model, IDS, cache)
    return cache


@pytest.fixture(scope="module")
def model() -> Any:
    """A model with biases, whose keys' mean is stored too."""
    return tiny("qwen2", head_dim=32)


@pytest.fixture(scope="module")
def calibration(model: Any) -> Calibration:
    """Its statistics."""
    return calibrate(model, [tokens(2, 64, 9)])


@pytest.fixture
def file(model: Any, calibration: Calibration, tmp_path: Path) -> Path:
    """The cache of IDS, saved."""
    path = tmp_path / "text.safetensors"
    save(computed(model, calibration=calibration), path, model, IDS, "tokenizer 1")
    return path


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        Policy(),
        Policy(quantizer="kivi", bits_k=2, bits_v=2, window=0, slack=32, sinks=0),
        Policy(bits_k=None, bits_v=None, evict="random", budget=20, prune_prompt=True, window=4, slack=2),
        Policy(evict="rkv", budget=24, prune_prompt=True, window=5, slack=3),
    ],
)
def test_what_is_restored_goes_on_bit_for_bit(
    model: Any, calibration: Calibration, policy: Policy, tmp_path: Path
) -> None:
    """Sixteen more tokens with flushes among them: the same logits, counts and bytes as of the cache that was saved."""
    cache = computed(model, policy, calibration)
    save(cache, tmp_path / "a", model, IDS)
    back = restore(tmp_path / "a", model, policy, IDS, calibration)
    after = tokens(2, 16, 5)
    for step in range(16):
        assert torch.equal(
            logits(model, after[:, step : step + 1], cache), logits(model, after[:, step : step + 1], back)
        )
    assert back.nbytes == cache.nbytes and [a.counts for a in back.compressed] == [a.counts for a in cache.compressed]


def test_restoring_skips_the_prompt(model: Any, calibration: Calibration, file: Path) -> None:
    """generate() on the whole text computes the one token that was not seen, then those that it says."""
    cache = restore(file, model, POLICY, IDS, calibration, "tokenizer 1")
    computed_tokens = []
    hook = model.model.embed_tokens.register_forward_hook(lambda m, given, out: computed_tokens.append(out.shape[1]))
    text = torch.cat([IDS, tokens(2, 1, 3)], 1)
    said = model.generate(text, past_key_values=cache, max_new_tokens=6, do_sample=False)
    hook.remove()
    assert computed_tokens == [1] * 6 and said.shape == (2, 47)


def test_the_file_is_as_large_as_the_cache(model: Any, calibration: Calibration, file: Path) -> None:
    """What is allocated is what is written; the header of names and reasons is the rest."""
    header = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    assert file.stat().st_size == header + computed(model, calibration=calibration).nbytes


def test_every_flipped_bit_is_refused(model: Any, calibration: Calibration, file: Path) -> None:
    """In the header, in what it says of itself, in codes, norms and positions: a sample of 300 places."""
    whole = file.read_bytes()
    for place in range(0, len(whole), len(whole) // 300):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        with pytest.raises(BadFile):
            restore(file, model, POLICY, IDS, calibration, "tokenizer 1")
    for wrong in (whole[:-1], whole[:100], b"", b"not a cache"):
        file.write_bytes(wrong)
        with pytest.raises(BadFile, match="compute the cache again"):
            restore(file, model, POLICY, IDS, calibration, "tokenizer 1")
    file.unlink()
    with pytest.raises(BadFile, match="no saved cache"):
        restore(file, model, POLICY, IDS, calibration, "tokenizer 1")


def other_weights() -> Any:
    """The same model but for one number in its last layer."""
    model = tiny("qwen2", head_dim=32)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] += 1e-3
    return model


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m, c: {"model": other_weights()}, "another model;"),
        (lambda m, c: {"model": m, "policy": POLICY.model_copy(update={"budget": 25})}, "another policy;"),
        (lambda m, c: {"model": m, "policy": POLICY.model_copy(update={"seed": 1})}, "policy, another rotation or"),
        (
            lambda m, c: {"model": tiny("qwen2", head_dim=32, rope_type="linear", factor=2.0)},
            "another rotary embedding;",
        ),
        (lambda m, c: {"model": m, "calibration": calibrate(m, [tokens(2, 32)])}, "another calibration;"),
        (lambda m, c: {"model": m, "tokenizer": "tokenizer 2"}, "another tokenizer;"),
        (lambda m, c: {"model": m, "ids": IDS.flip(1)}, "another text;"),
        (lambda m, c: {"model": m.to(torch.bfloat16)}, "another model,"),
    ],
)
def test_what_was_computed_from_something_else_is_refused(
    calibration: Calibration, file: Path, change: Callable[..., dict[str, Any]], said: str
) -> None:
    """Weights, policy, seed of the rotation, rotary embedding, calibration, tokenizer, text, type: each is named."""
    given = {"policy": POLICY, "ids": IDS, "calibration": calibration, "tokenizer": "tokenizer 1"}
    given |= change(tiny("qwen2", head_dim=32), calibration)
    with pytest.raises(BadFile, match=said):
        restore(file, **given)


def test_the_backend_may_differ(model: Any, calibration: Calibration, file: Path) -> None:
    """What computes is no part of what was computed."""
    policy = POLICY.model_copy(update={"backend": "torch"})
    assert restore(file, model, policy, IDS, calibration, "tokenizer 1").get_seq_length() == 40


def test_ids_of_another_length_are_refused(model: Any, calibration: Calibration, tmp_path: Path) -> None:
    """A cache that has seen 40 tokens is not saved as one of 39."""
    with pytest.raises(BadTensor, match="has seen 40 tokens"):
        save(computed(model, calibration=calibration), tmp_path / "a", model, IDS[:, :39])


@pytest.mark.parametrize("moment", ["save_file", "_sync", "replace"])
@pytest.mark.parametrize("before", [True, False])
def test_a_kill_while_writing_leaves_the_old_file(
    moment: str, before: bool, model: Any, calibration: Calibration, tmp_path: Path
) -> None:
    """SIGKILL before and after each step of a save over an older one: what is there is whole, the old or the new."""
    path = tmp_path / "text"
    cache = computed(model, calibration=calibration)
    save(cache, path, model, IDS, "old")
    child = os.fork()
    if child == 0:
        with exiting():
            holder = os if moment == "replace" else saved
            real = getattr(holder, moment)

            def killed(*arguments: Any) -> None:
                if not before:
                    real(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(holder, moment, killed)
            save(cache, path, model, IDS, "new")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    tokenizer = "new" if moment == "replace" and not before else "old"
    assert restore(path, model, POLICY, IDS, calibration, tokenizer).get_seq_length() == 40


def test_another_process_finds_it_by_its_key(model: Any, calibration: Calibration, file: Path) -> None:
    """With another hash seed the key is the same, and the restored cache says the same next token."""
    calibration.save(file.with_name("calibration"))
    key = key_of(model, POLICY, IDS, calibration, "tokenizer 1")
    assert key == save(computed(model, calibration=calibration), file, model, IDS, "tokenizer 1")
    next_token = logits(model, tokens(2, 1), restore(file, model, POLICY, IDS, calibration, "tokenizer 1")).argmax(-1)
    script = f"""
import torch
from pathlib import Path
torch.set_num_threads(1)
from swarm_kernels.calibration import Calibration
from swarm_kernels.saved import key_of, restore
from tests.kernels.models import logits, tiny, tokens
from tests.kernels.test_saved import IDS, POLICY
model, calibration = tiny("qwen2", head_dim=32), Calibration.load(Path({str(file.with_name("calibration"))!r}))
cache = restore(Path({str(file)!r}), model, POLICY, IDS, calibration, "tokenizer 1")
print(key_of(model, POLICY, IDS, calibration, "tokenizer 1"), logits(model, tokens(2, 1), cache).argmax(-1).tolist())
"""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == f"{key} {next_token.tolist()}", done.stderr
