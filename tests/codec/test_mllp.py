"""MLLP framing: any split of a stream gives the same blocks, and what is wrong with a stream is said once."""

import random
import time

import pytest

from gateway.codec.mllp import HEAD_BYTES, Block, Decoder, frame

A = b"MSH|^~\\&|A\rPID|1\r"
B = b"MSH|^~\\&|B\rPID|2\r"


def whole(stream: bytes, max_bytes: int = 10_000) -> tuple[list[Block], int, bool]:
    decoder = Decoder(max_bytes)
    return [*decoder.feed(stream), *decoder.pause()], decoder.skipped, decoder.broken


STREAMS = {
    "two blocks": (frame(A) + frame(B), [Block(A), Block(B)], 0),
    "line ends and NULs between": (b"\r\n" + frame(A) + b"\r\n\x00 " + frame(B), [Block(A), Block(B)], 0),
    "garbage between": (b"hello" + frame(A) + b"PID|x\r" + frame(B), [Block(A), Block(B)], 10),
    "end without CR before the next": (b"\x0b" + A + b"\x1c" + frame(B), [Block(A), Block(B)], 0),
    "end without CR at the end": (b"\x0b" + A + b"\x1c", [Block(A)], 0),
    "end with LF": (b"\x0b" + A + b"\x1c\n" + frame(B), [Block(A), Block(B)], 0),
    "end with CR LF": (b"\x0b" + A + b"\x1c\r\n" + frame(B), [Block(A), Block(B)], 0),
    "no end at all": (b"\x0b" + A + frame(B), [Block(A, "no-end"), Block(B)], 0),
    "no start": (A + b"\x1c\r" + frame(B), [Block(A), Block(B)], 0),
    "no start after a block": (frame(A) + b"\r\n" + B + b"\x1c\r", [Block(A), Block(B)], 0),
    "a block without start after garbage is garbage": (b"x" + A + b"\x1c\r" + frame(B), [Block(B)], 17),
    "start twice": (b"\x0b" + frame(A), [Block(A)], 0),
    "0x1C inside a text": (frame(A + b"NTE|1||a\x1cb\r"), [Block(A + b"NTE|1||a\x1cb\r")], 0),
    "0x0B inside a text": (frame(A + b"NTE|1||a\x0bb\r"), [Block(A + b"NTE|1||a\x0bb\r")], 0),
    "an empty block": (frame(b"") + frame(A), [Block(b""), Block(A)], 0),
    "a commit of MLLP release 2": (frame(b"\x06") + frame(A), [Block(b"\x06"), Block(A)], 0),
    "never ended": (frame(A) + b"\x0bMSH|^~\\&|half", [Block(A)], 0),
    "nothing but garbage": (b"GET / HTTP/1.1\r\n\r\n", [], 12),
    "kanji with 0x7C in their bytes": (frame("MSH|^~\\&|\rPID|患者日本".encode("iso2022_jp")),
                                       [Block("MSH|^~\\&|\rPID|患者日本".encode("iso2022_jp"))], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_blocks_of_a_stream(name: str) -> None:
    stream, blocks, skipped = STREAMS[name]
    assert whole(stream) == (blocks, skipped, False)


@pytest.mark.parametrize("name", STREAMS)
def test_any_split_of_the_stream_gives_the_same_blocks(name: str) -> None:
    stream, blocks, skipped = STREAMS[name]
    cuts = [(cut, cut) for cut in range(1, len(stream))]
    cuts += [tuple(sorted(random.Random(seed).choices(range(len(stream)), k=2))) for seed in range(60)]
    for first, second in cuts:
        decoder = Decoder(10_000)
        found = decoder.feed(stream[:first]) + decoder.feed(stream[first:second]) + decoder.feed(stream[second:])
        assert ([*found, *decoder.pause()], decoder.skipped) == (blocks, skipped), (first, second)
    decoder = Decoder(10_000)
    found = [block for byte in stream for block in decoder.feed(bytes([byte]))]
    assert ([*found, *decoder.pause()], decoder.skipped) == (blocks, skipped)


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_the_limit_is_exact_whatever_the_pieces(pieces: int) -> None:
    for size, problem in ((1000, ""), (1001, "too-large")):
        decoder = Decoder(1000)
        data = b"MSH" + b"x" * (size - 3)
        stream = frame(data) + frame(A)
        found = [one for at in range(0, len(stream), pieces) for one in decoder.feed(stream[at : at + pieces])]
        assert found[0].problem == problem and decoder.broken == bool(problem)
        assert len(found) == (1 if problem else 2)


def test_of_a_block_too_large_the_head_is_kept_and_the_memory_given_back() -> None:
    decoder = Decoder(100_000)
    (block,) = decoder.feed(b"\x0bMSH|^~\\&|" + b"y" * 200_000)
    assert block.data.startswith(b"MSH|^~\\&|") and len(block.data) == HEAD_BYTES
    assert decoder.buffered == 0 and decoder.feed(frame(A)) == []


def test_garbage_takes_no_memory() -> None:
    decoder = Decoder(1000)
    for _ in range(100):
        assert decoder.feed(b"z" * 10_000) == []
    assert decoder.buffered == 0 and decoder.skipped == 1_000_000


def test_it_says_whether_a_block_is_on_its_way() -> None:
    decoder = Decoder(1000)
    assert not decoder.inside
    decoder.feed(b"\x0bMS")
    assert decoder.inside and not decoder.may_be_whole
    decoder.feed(b"H|^~\\&|\x1c")
    assert decoder.may_be_whole and decoder.pause() == [Block(b"MSH|^~\\&|")] and not decoder.inside


def test_a_block_in_many_pieces_takes_linear_time() -> None:
    def seconds(pieces: int) -> float:
        decoder, start = Decoder(1 << 30), time.perf_counter()
        decoder.feed(b"\x0bMSH")
        for _ in range(pieces):
            decoder.feed(b"a" * 64)
        assert decoder.feed(b"\x1c\r")
        return time.perf_counter() - start

    small, large = min(seconds(2_000) for _ in range(3)), min(seconds(20_000) for _ in range(3))
    assert large < 40 * small


def test_random_bytes_never_raise_and_never_depend_on_the_pieces() -> None:
    alphabet = [b"\x0b", b"\x1c", b"\r", b"\n", b"MSH", b"M", b"x"]
    for seed in range(400):
        chance = random.Random(seed)
        stream = b"".join(chance.choices(alphabet, k=40))
        decoder = Decoder(60)
        found: list[Block] = []
        at = 0
        while at < len(stream):
            step = chance.randint(1, 5)
            found += decoder.feed(stream[at : at + step])
            at += step
        found += decoder.pause()
        assert (found, decoder.broken) == whole(stream, 60)[::2], seed
