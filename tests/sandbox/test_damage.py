"""Each kind of damage does what its line says, and nothing else about it is by chance."""

from pathlib import Path
from random import Random

import pytest

from gateway.codec import charset, er7
from gateway.errors import BadInput
from gateway.sandbox.damage import HUGE_VALUE_BYTES, KINDS, MANY_OBX, damage
from gateway.sandbox.ssmix2 import generate


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    root = tmp_path_factory.mktemp("storage")
    generate(root, seed=11, patients=2, files=24)
    return [path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()]


def spoil(data: bytes, kind: str, seed: int = 1) -> bytes:
    return damage(data, kind, Random(seed))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_changes_the_bytes_the_same_way_each_time(files: list[bytes], kind: str) -> None:
    description = KINDS[kind].description
    assert description and "\n" not in description
    for data in files:
        assert spoil(data, kind) != data
        assert spoil(data, kind) == spoil(data, kind)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_readers_refuse_or_read_and_never_fall_over(files: list[bytes], kind: str) -> None:
    read = 0
    for seed, data in enumerate(files):
        try:
            for _, message in charset.split_messages(spoil(data, kind, seed)):
                er7.parse(charset.decode(message))
                read += 1
        except BadInput:
            pass
    if kind in {"lf", "crlf", "bom", "z-segment", "shift-jis", "euc-jp", "utf-8", "no-end", "mllp-frame", "gaiji"}:
        assert read == len(files)
    if kind in {"no-msh", "foreign", "noise"}:
        assert read == 0
    if kind == "doubled":
        assert read == 2 * len(files)


def test_unknown_kind() -> None:
    with pytest.raises(KeyError):
        damage(b"", "no such kind", Random(1))


def test_charsets_lie(files: list[bytes]) -> None:
    for kind, codec in (("shift-jis", "shift_jis"), ("euc-jp", "euc_jp"), ("utf-8", "utf-8")):
        spoiled = spoil(files[0], kind)
        assert b"~ISO IR87" in spoiled and spoiled.decode(codec) == files[0].decode("iso2022_jp")


def test_unclosed_shift_breaks_one_segment_only(files: list[bytes]) -> None:
    good, bad = files[0].split(b"\r"), spoil(files[0], "unclosed-shift").split(b"\r")
    assert len(good) == len(bad)
    assert sum(a != b for a, b in zip(good, bad, strict=True)) == 1
    assert spoil(files[0], "unclosed-shift").count(b"\x1b(B") == files[0].count(b"\x1b(B") - 1


def test_half_width_kana_is_the_same_name(files: list[bytes]) -> None:
    """Read back through JIS X 0201: every kana byte with the high bit set is Shift_JIS half-width kana."""
    spoiled = spoil(files[0], "half-width-kana")
    kana = spoiled.split(b"\x1b(I")[1].split(b"\x1b(B")[0]
    assert kana and all(0x21 <= byte <= 0x5F for byte in kana)
    assert bytes(byte | 0x80 for byte in kana).decode("shift_jis").isprintable()


def test_row_13_cannot_be_read_by_the_plain_codec(files: list[bytes]) -> None:
    with pytest.raises(UnicodeDecodeError):
        spoil(files[0], "nec-row-13").decode("iso2022_jp")


def test_sizes(files: list[bytes]) -> None:
    assert len(spoil(files[0], "huge-value")) > HUGE_VALUE_BYTES
    assert spoil(files[0], "many-obx").count(b"\rOBX|") >= MANY_OBX
    assert spoil(files[0], "empty") == b""


def test_patients(files: list[bytes]) -> None:
    own = files[0].split(b"\rPID|")[1].split(b"|")[2].split(b"^")[0]
    assert own not in spoil(files[0], "wrong-patient").split(b"\rPID|")[1].split(b"|")[2]
    assert spoil(files[0], "second-pid").count(b"\rPID|") == 2
    assert b"\rPID|" not in spoil(files[0], "no-pid")


def test_the_generator_gives_every_type_to_damage(files: list[bytes], tmp_path: Path) -> None:
    assert len({data.split(b"|")[8] for data in files}) >= 4
