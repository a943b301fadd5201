"""Damage to bytes, as cables, disks, old programs and malice do it. The same seed gives the same damage."""

import random
from collections.abc import Callable

NASTY = (
    b"\x00", b"\x0b", b"\x1c\r", b"\r", b"\n", b"|", b"^", b"~", b"\\", b"&", b'""', b"\\X41\\", b"\\.br\\", b"\x1b$B", b"\x1b(B", b"\x1b(I",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xfd", b"\x81\x5c", b",", b'"', b"{", b"}", b"[", b"]", b":", b"1e999", b"-0", b"NaN", b"null",
    b"99999999999999999999999999", b"00000000", b"20240230", b"24:60", b"MSH|^~\\&|", b"PID|", b"OBX|", b"A" * 5_000, b"<", b"&lt;", b"]]>",
    "𠮷".encode(), "㍉".encode("cp932"), "～".encode("cp932"),
)  # fmt: skip


def damaged(data: bytes, seed: int) -> bytes:
    """One to five injuries to the bytes."""
    chance = random.Random(seed)
    found = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        chance.choice(_INJURIES)(found, chance)
    return bytes(found)


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    del data[at : at + chance.choice((1, 2, 3, 10, 100, 10_000))]


def _insert(data: bytearray, chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.choice(NASTY)


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    piece = bytes(data[at : at + chance.choice((1, 5, 50, 500))])
    data[at:at] = piece * chance.choice((1, 2, 30))


def _end(data: bytearray, chance: random.Random) -> None:
    del data[chance.randint(0, len(data)) :]


def _swap(data: bytearray, chance: random.Random) -> None:
    """Two lines change places."""
    end = b"\r\n" if b"\r\n" in data else b"\r" if b"\r" in data else b"\n"
    lines = bytes(data).split(end)
    if len(lines) > 1:
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
        data[:] = end.join(lines)


def _field(data: bytearray, chance: random.Random) -> None:
    """What stands between two delimiters becomes something else."""
    marks = [at for at, byte in enumerate(data) if byte in b"|^,:"]
    if len(marks) > 1:
        at = chance.randrange(len(marks) - 1)
        data[marks[at] + 1 : marks[at + 1]] = chance.choice(NASTY)


_INJURIES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _cut,
    _insert,
    _repeat,
    _end,
    _swap,
    _field,
    _field,
)
