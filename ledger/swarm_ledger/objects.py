"""Git's objects and packs, as bytes: just what a writer needs.

Formats: gitformat-pack(5) for the pack and its version 2 index, git-hash-object(1) for names.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import sha1
from itertools import accumulate

from .store import BlobId, CommitId

__all__ = ["Tree", "blob_id", "encode_commit", "encode_pack", "object_name"]

COMMIT, TREE, BLOB = 1, 2, 3
_TYPE_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}


def object_name(kind: int, data: bytes) -> bytes:
    """The 20-byte name that git gives an object of `kind` (COMMIT, TREE or BLOB)."""
    return sha1(b"%s %d\0%s" % (_TYPE_NAMES[kind], len(data), data), usedforsecurity=False).digest()


def blob_id(text: bytes) -> BlobId:
    """The version that `text` has, wherever it stands."""
    return BlobId(object_name(BLOB, text).hex())


class Tree:
    """One directory, kept in git's order so that changing one name costs no sort."""

    __slots__ = ("entries", "keys")

    _ENTRY = re.compile(rb"(\d+) ([^\0]+)\0.{20}", re.DOTALL)

    def __init__(self, raw: bytes = b"") -> None:
        self.keys: list[bytes] = []
        """Sort keys, ascending: a directory's name counts as if it ended in a slash."""
        self.entries: list[bytes] = []
        """`entries[i]` is the encoded entry of `keys[i]`."""
        for match in self._ENTRY.finditer(raw):
            mode, name = match.group(1, 2)
            self.keys.append(name + b"/" if mode == b"40000" else name)
            self.entries.append(match.group())

    def set(self, name: bytes, target: bytes, *, directory: bool) -> None:
        """Point `name` at the object `target` (20 bytes)."""
        key = name + b"/" if directory else name
        entry = (b"40000 " if directory else b"100644 ") + name + b"\0" + target
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            self.entries[at] = entry
        else:
            self.keys.insert(at, key)
            self.entries.insert(at, entry)

    def remove(self, name: bytes, *, directory: bool) -> None:
        """Take `name` out; nothing happens where it is not there."""
        key = name + b"/" if directory else name
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            del self.keys[at], self.entries[at]

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


def encode_pack(objects: dict[bytes, tuple[int, bytes]]) -> tuple[str, bytes, bytes]:
    """(checksum in hex, pack, index) of {name: (kind, content)}. The index is version 2."""
    parts = [b"PACK" + struct.pack(">II", 2, len(objects))]
    offset = len(parts[0])
    placed: list[tuple[bytes, int, int]] = []
    for name, (kind, data) in objects.items():
        record = _header(kind, len(data)) + (_store(data) if kind == TREE else _deflate(data))
        placed.append((name, zlib.crc32(record), offset))
        parts.append(record)
        offset += len(record)
    body = b"".join(parts)
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


def _store(data: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1950, RFC 1951 3.2.4): trees hold hashes, and soon become deltas."""
    blocks = []
    for start in range(0, len(data) or 1, 65535):
        block = data[start : start + 65535]
        last = start + 65535 >= len(data)
        blocks.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))


def _offsets(placed: Sequence[tuple[bytes, int, int]]) -> bytes:
    out, large = [], 0
    for _, _, offset in placed:
        if offset < 1 << 31:
            out.append(offset)
        else:  # an index into the table of 64-bit offsets that follows
            out.append((1 << 31) | large)
            large += 1
    return struct.pack(f">{len(out)}I", *out)
