"""Random histories of three clones that write and sync: each ends in one tree that holds every acknowledged write."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import time

from .clones import Clones, Count
from .row import Context, Outcome

__all__ = ["converge"]


def converge(context: Context) -> Outcome:
    """500 seeds, recounted from a fresh clone of the remote each."""
    seeds = context.pick(500, 20)
    counts: list[Count] = []
    seconds: list[float] = []
    apart, lost = [], []
    for seed in range(seeds):
        place = f"{context.directory}/{seed}"
        os.makedirs(place)
        began = time.monotonic()
        clones = Clones(place, seed)
        clones.live(random.Random(seed).randrange(10, 40))
        clones.settle()
        count = clones.recount()
        clones.close()
        shutil.rmtree(place)
        counts.append(count)
        seconds.append(time.monotonic() - began)
        apart += [] if count.same else [seed]
        lost += [f"seed {seed}: {one}" for one in count.lost]
    acknowledged = sum(count.acknowledged for count in counts)
    out = Outcome()
    out.add(
        f"random histories of three clones, {seeds} seeds",
        "all converge, 0 lost",
        f"{seeds - len(apart)} converged, {len(lost)} lost of {acknowledged} acknowledged writes",
        not apart and not lost and acknowledged > 5 * seeds,
    )
    out.detail = {
        "apart": apart,
        "lost": lost,
        "acknowledged": acknowledged,
        "merges": sum(count.merges for count in counts),
        "contested": sum(count.contested for count in counts),
        "seconds_a_seed": round(statistics.median(seconds), 3),
    }
    return out
