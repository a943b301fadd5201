"""RFC 6962: its own test vectors, and every inclusion proof of small trees."""

import hashlib

import pytest

from gateway.services.audit.tree import Peaks, included, inclusion, root

# The eight leaves of the reference tests of Certificate Transparency, and their roots.
LEAVES = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70)),
]  # fmt: skip
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def hashes(count: int) -> list[bytes]:
    return [hashlib.sha256(b"\x00" + leaf).digest() for leaf in (LEAVES * 5)[:count]]


@pytest.mark.parametrize("size", ROOTS)
def test_the_roots_are_those_of_the_standard(size: int) -> None:
    assert root(hashes(size)).hex() == ROOTS[size]
    peaks = Peaks()
    for leaf in hashes(size):
        peaks.add([leaf])
    assert (peaks.root().hex(), peaks.size) == (ROOTS[size], size)


def test_every_proof_leads_to_the_root_and_no_other_does() -> None:
    assert Peaks().root() == hashlib.sha256(b"").digest()
    for size in range(1, 34):
        leaves, expected = hashes(size), root(hashes(size))
        for index, leaf in enumerate(leaves):
            path = inclusion(leaves, index)
            assert included(leaf, index, size, path, expected)
            assert not included(b"x" * 32, index, size, path, expected)
            assert not included(leaf, index, size, [*path, leaf], expected)
            assert not included(leaf, index, size, path, bytes(32))
    assert not included(b"", 5, 5, [], b"")
