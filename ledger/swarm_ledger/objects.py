"""Git's objects and packs, as bytes: just what a writer needs.

Formats: gitformat-pack(5) for the pack and its version 2 index, git-hash-object(1) for names.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from itertools import accumulate
from typing import TYPE_CHECKING

from .store import BlobId, CommitId

if TYPE_CHECKING:
    from random import Random

__all__ = ["Tree", "blob_id", "encode_commit", "encode_pack", "entry_delta", "new_pack", "object_name", "seal_pack"]

COMMIT, TREE, BLOB = 1, 2, 3
_OFS_DELTA = 6
_STORED_HEAD = struct.Struct("<2sBHH").pack
_TYPE_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}


def object_name(kind: int, data: bytes) -> bytes:
    """The 20-byte name that git gives an object of `kind` (COMMIT, TREE or BLOB)."""
    digest = sha1(b"%s %d\0" % (_TYPE_NAMES[kind], len(data)), usedforsecurity=False)
    digest.update(data)
    return digest.digest()


def blob_id(text: bytes) -> BlobId:
    """The version that `text` has, wherever it stands."""
    return BlobId(object_name(BLOB, text).hex())


class Tree:
    """One directory, kept in git's order so that changing one name costs no sort."""

    __slots__ = ("entries",)

    _ENTRY = re.compile(rb"[0-9]+ [^\0]+\0.{20}", re.DOTALL)

    def __init__(self, raw: bytes = b"") -> None:
        self.entries: list[bytes] = self._ENTRY.findall(raw)
        """Encoded entries, ascending by `_key`."""

    @staticmethod
    def _key(entry: bytes) -> bytes:
        """What an entry sorts by: a directory's name counts as if it ended in a slash."""
        mode, _, name = entry[:-21].partition(b" ")
        return name + b"/" if mode == b"40000" else name

    def _find(self, name: bytes, directory: bool) -> tuple[int, bool]:
        """(where an entry of that name and kind is or would be, whether it is there)."""
        key = name + b"/" if directory else name
        at = bisect_left(self.entries, key, key=self._key)
        return at, at < len(self.entries) and self._key(self.entries[at]) == key

    def get(self, name: bytes, *, directory: bool) -> bytes | None:
        """The object that `name` points at, or None."""
        at, there = self._find(name, directory)
        return self.entries[at][-20:] if there else None

    def set(self, name: bytes, target: bytes, *, directory: bool) -> bytes:
        """Point `name` at the object `target` (20 bytes); the entry, encoded."""
        at, there = self._find(name, directory)
        entry = (b"40000 " if directory else b"100644 ") + name + b"\0" + target
        self.entries[at : at + there] = [entry]
        return entry

    def remove(self, name: bytes, *, directory: bool) -> None:
        """Take `name` out; nothing happens where it is not there."""
        at, there = self._find(name, directory)
        del self.entries[at : at + there]

    def encode(self) -> bytes:
        """The tree object's content."""
        return b"".join(self.entries)


def encode_commit(
    tree: bytes,
    parents: Sequence[CommitId],
    author: str,
    at: int,
    subject: str,
    trailers: Iterable[tuple[str, str]],
) -> bytes:
    """A commit object's content. `author` is an agent's name, `at` POSIX seconds; all text is one line each."""
    who = f"{author} <{author}@swarm-ledger.invalid> {at} +0000"
    lines = [f"tree {tree.hex()}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {who}", f"committer {who}", "", subject, ""]
    lines += [f"{name}: {value}" for name, value in trailers]
    return ("\n".join(lines) + "\n").encode()


def _header(kind: int, size: int) -> bytes:
    byte = (kind << 4) | (size & 15)
    size >>= 4
    out = bytearray()
    while size:
        out.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    out.append(byte)
    return bytes(out)


def entry_delta(old: bytes, new: bytes, entry: bytes) -> bytes | None:
    """What makes the tree `new` of `old`, where they differ by `entry` alone: its target, or that it is there.

    As gitformat-pack(5) has it: copy what stands before, insert, copy what stands after. None where more differs.
    """
    start = new.find(entry)
    if start < 0 or len(new) >= 1 << 24:
        return None
    after = start + len(entry)
    rest = after - (len(new) - len(old))  # where in `old` that which stands after begins
    if old[:start] != new[:start] or old[rest:] != new[after:] or len(entry) > 127 or rest < start:
        return None
    copy_after = _copy(rest, len(old) - rest)
    return b"".join((_size(len(old)), _size(len(new)), _copy(0, start), bytes((len(entry),)), entry, copy_after))


def _size(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _copy(offset: int, size: int) -> bytes:
    """The instruction to copy `size` bytes of the base from `offset`, in 3 bytes each; nothing for none."""
    return b"\xf7" + offset.to_bytes(3, "little") + size.to_bytes(3, "little") if size else b""


def _distance(back: int) -> bytes:
    """How far back the base of a delta begins."""
    out = [back & 0x7F]
    while back := back >> 7:
        back -= 1
        out.append(back & 0x7F | 0x80)
    return bytes(reversed(out))


def encode_pack(
    objects: Mapping[bytes, tuple[int, bytes]], deltas: Mapping[bytes, tuple[bytes, bytes]]
) -> tuple[bytes, bytes]:
    """(pack, index) of {name: (kind, content)}.

    `deltas`: name → (an earlier one of `objects`, the delta from it), for those that are stored so.
    """
    parts = [b"PACK" + struct.pack(">II", 2, len(objects))]
    offset = len(parts[0])
    placed: list[tuple[bytes, int, int]] = []
    offsets: dict[bytes, int] = {}
    crc32 = zlib.crc32
    for name, (kind, data) in objects.items():
        head = b""
        if name in deltas:
            base, data = deltas[name]
            head = _distance(offset - offsets[base])
        size = len(data)
        head = _header(_OFS_DELTA if head else kind, size) + head
        offsets[name] = offset
        if kind == TREE and size < 1 << 16:
            # A stored block (RFC 1950; RFC 1951, 3.2.4), for a tree holds hashes, which do not shrink.
            # The parts are not joined here: copying is most of the work.
            head += _STORED_HEAD(b"\x78\x01", 1, size, size ^ 0xFFFF)
            tail = zlib.adler32(data).to_bytes(4, "big")
            parts += (head, data, tail)
            placed.append((name, crc32(tail, crc32(data, crc32(head))), offset))
            offset += len(head) + size + 4
        else:
            record = head + _deflate(data)
            parts.append(record)
            placed.append((name, crc32(record), offset))
            offset += len(record)
    return seal_pack(b"".join(parts), placed)[1:]


def new_pack(ledger: str, rng: Random) -> str:
    """The path of a pack that is to be, without its suffix; no two are called the same.

    A name made of what it holds would come again with the batch of a leader that died, and a `git repack -d` that saw
    the first as one that nothing refers to would remove the second.
    """
    return f"{ledger}/objects/pack/pack-{rng.getrandbits(160):040x}"


def seal_pack(body: bytes, placed: list[tuple[bytes, int, int]]) -> tuple[str, bytes, bytes]:
    """(checksum in hex, pack, index of version 2) of a pack without its checksum.

    `placed`: (name, CRC32 of the record, its offset) of each object, in any order.
    """
    checksum = sha1(body, usedforsecurity=False).digest()
    placed.sort()
    counts = [0] * 256
    for name, _, _ in placed:
        counts[name[0]] += 1
    number = len(placed)
    large = [offset for _, _, offset in placed if offset >= 1 << 31]
    index = b"".join(
        [
            b"\xfftOc" + struct.pack(">I", 2),
            struct.pack(">256I", *accumulate(counts)),
            b"".join(name for name, _, _ in placed),
            struct.pack(f">{number}I", *(crc for _, crc, _ in placed)),
            _offsets(placed),
            struct.pack(f">{len(large)}Q", *large),
            checksum,
        ]
    )
    return checksum.hex(), body + checksum, index + sha1(index, usedforsecurity=False).digest()


def _deflate(data: bytes) -> bytes:
    # A small window and little memory: for texts this small, setting zlib up is most of the work.
    deflate = zlib.compressobj(1, zlib.DEFLATED, 12, 4)
    return deflate.compress(data) + deflate.flush()


def _offsets(placed: Sequence[tuple[bytes, int, int]]) -> bytes:
    out, large = [], 0
    for _, _, offset in placed:
        if offset < 1 << 31:
            out.append(offset)
        else:  # an index into the table of 64-bit offsets that follows
            out.append((1 << 31) | large)
            large += 1
    return struct.pack(f">{len(out)}I", *out)
