"""The Merkle tree of RFC 6962 section 2.1 over leaf hashes; leaves were made with the prefix 0x00 (audit_chain.py)."""

import hashlib
from collections.abc import Iterable, Sequence


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Peaks:
    """The roots of the whole subtrees so far, largest first: what growing the tree needs, whatever its size."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            width, hash_ = 1, leaf
            while self._peaks and self._peaks[-1][0] == width:
                hash_ = node(self._peaks.pop()[1], hash_)
                width *= 2
            self._peaks.append((width, hash_))
            self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        hash_ = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            hash_ = node(left, hash_)
        return hash_


def root(leaves: Sequence[bytes]) -> bytes:
    peaks = Peaks()
    peaks.add(leaves)
    return peaks.root()


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(m, D[n]): the hashes that lead from leaf `index` (from 0) to the root."""
    if len(leaves) <= 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion(leaves[:split], index), root(leaves[split:])]
    return [*inclusion(leaves[split:], index - split), root(leaves[:split])]


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """RFC 9162 2.1.3.2: whether the path leads from the leaf to the root. Needs neither node nor database."""
    if not 0 <= index < size:
        return False
    place, last, hash_ = index, size - 1, leaf
    for one in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            hash_ = node(one, hash_)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            hash_ = node(hash_, one)
        place, last = place >> 1, last >> 1
    return last == 0 and hash_ == expected


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
