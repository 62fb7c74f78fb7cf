"""A writer process for the crash tests: writes until it is killed, and notes each acknowledgement on disk.

Run as `python hammer.py HOME NAME SECONDS KILL_ODDS`: at each named point of the commit path it kills itself with
the given odds, after noting the point. Acknowledgements go to HOME/../acks/NAME, fsynced, outside the ledger.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from swarm_ledger.env import Env
from swarm_ledger.gitstore import GitStore
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Append, Put, Request

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def note(path: str, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, line.encode() + b"\n")
    os.fsync(fd)
    os.close(fd)


def main(home: str, name: str, seconds: float, odds: float) -> None:
    base = os.path.dirname(home)
    os.makedirs(f"{base}/acks", exist_ok=True)
    rng = random.Random()

    def point(at: str) -> None:
        if rng.random() < odds * (50 if at == "merged" else 1):
            note(f"{base}/points", at)
            os.kill(os.getpid(), signal.SIGKILL)

    store = GitStore(home, Env(point=point))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        request = "".join(rng.choices(ALPHABET, k=26))
        suffix = "".join(rng.choices(ALPHABET, k=8))
        text = f"---\nid: fact-261121-{suffix}\n---\n{suffix * 50}\n".encode()
        path = f"facts/2026/11/21/{suffix[0]}/fact-261121-{suffix}.md"
        section = f"## 10:54:03 log-261121-{suffix}\n\n{suffix * 20}\n\n".encode()
        ops = (
            Put(f"fact-261121-{suffix}", path, text, None),
            Append(f"log-261121-{suffix}", f"log/2026/11/21/{name}/", b"---\nkind: log\n---\n\n", section),
        )
        store.submit(Request(request, name, "s", int(time.time()), f"write {suffix}", ops))
        note(f"{base}/acks/{name}", f"{request} {path} {blob_id(text)} log-261121-{suffix}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
