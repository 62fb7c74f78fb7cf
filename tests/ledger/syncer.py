"""A process that syncs one ledger until it is killed; at each named point it kills itself with the given odds.

Run as `python syncer.py HOME REMOTE SECONDS KILL_ODDS`. The points at which it died go to HOME/../points.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time

from swarm_ledger.env import Env
from swarm_ledger.errors import TryAgain
from swarm_ledger.gitstore import GitStore
from swarm_ledger.remotes import Remote
from swarm_ledger.sync import sync


def main(home: str, url: str, seconds: float, odds: float) -> None:
    rng = random.Random()

    def point(at: str) -> None:
        if rng.random() < odds:
            with open(f"{os.path.dirname(home)}/points", "a", encoding="ascii") as file:
                file.write(at + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    env = Env(point=point)
    store = GitStore(home, env)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(TryAgain):
            sync(store, Remote("origin", url, url), "syncer", "s", env, patience=10)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
