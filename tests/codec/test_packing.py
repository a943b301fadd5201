"""What is packed comes back, and nothing else passes for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.packing import SMALL, pack, unpack
from gateway.errors import DamagedContent


@given(st.binary(max_size=4096))
def test_what_is_packed_comes_back(content: bytes) -> None:
    assert unpack(pack("", content).content, len(content)) == content


def test_a_large_blob_is_left_as_it_is() -> None:
    assert pack("", b"x" * SMALL).large is False
    one = pack("", b"x" * (SMALL + 1))
    assert (one.large, one.content, one.size) == (True, b"x" * (SMALL + 1), SMALL + 1)


@pytest.mark.parametrize(
    ("packed", "size"), [(b"not packed", 3), (pack("", b"abcd").content, 3), (pack("", b"a").content, 3)]
)
def test_other_bytes_or_another_size_are_damage(packed: bytes, size: int) -> None:
    with pytest.raises(DamagedContent):
        unpack(packed, size)


def test_a_bomb_is_not_unpacked_whole() -> None:
    with pytest.raises(DamagedContent):
        unpack(pack("", b"\0" * SMALL).content, 10)
