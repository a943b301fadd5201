"""The listener over real sockets, with a stand-in for the work behind it: limits, order, back-pressure, endings."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from gateway.codec.mllp import Block, Decoder, frame
from gateway.errors import Unavailable
from gateway.ihe._v2 import Replies
from gateway.serve.metrics import MllpMetrics
from gateway.serve.mllp import LARGE, MllpServer
from gateway.settings import Mllp

PATIENCE_S = 20.0


@dataclass
class Work:
    """Answers each block with its own bytes; a test may hold it or let it fail."""

    gate: threading.Event = field(default_factory=threading.Event)
    """Blocks whose data begin with `wait` go on when it is set."""
    seen: list[bytes] = field(default_factory=list)
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, block: Block, address: str) -> Replies:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if b"wait" in block.data:
                assert self.gate.wait(PATIENCE_S)
            if b"fail" in block.data:
                raise RuntimeError("山田花子")
            if block.problem == "too-large":
                return Replies([b"large"], close=True, kind="x", answer="AR")
            with self.lock:
                self.seen.append(block.data)
            if b"nothing" in block.data:
                return Replies([])
            return Replies([block.data], close=b"close" in block.data, kind="x", answer="AA")
        finally:
            with self.lock:
                self.now -= 1

    def failed(self, block: Block, error: Exception) -> Replies:
        return Replies([b"AE 207"], kind="x", answer="AE")


@dataclass
class Running:
    server: MllpServer
    work: Work
    metrics: MllpMetrics
    thread: threading.Thread

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE_S)

    def count(self, name: str) -> int:
        line = next((line for line in self.metrics.render().splitlines() if line.startswith(name + " ")), "0 0")
        return int(line.rpartition(" ")[2])

    def stop(self) -> None:
        self.work.gate.set()
        self.server.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive() and not self.server.listening


Start = Callable[..., Running]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(**more: object) -> Running:
            work, metrics = Work(), MllpMetrics()
            given = {"port": free_port(), "workers": 4, **more}
            server = MllpServer(Mllp.model_validate(given), work.handle, work.failed, metrics)
            thread = threading.Thread(target=server.run)
            thread.start()
            running = Running(server, work, metrics, thread)
            stack.callback(running.stop)
            return running

        yield run


def receive(wire: socket.socket, count: int = 1) -> list[bytes]:
    """So many blocks, or fewer when the connection ends."""
    decoder, found = Decoder(1 << 26), list[Block]()
    while len(found) < count and (data := wire.recv(65536)):
        found += decoder.feed(data)
    return [block.data for block in found]


def ended(wire: socket.socket) -> bool:
    try:
        return wire.recv(1) == b""
    except ConnectionResetError:
        return True


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def message(patient: str, text: str) -> bytes:
    return f"MSH|^~\\&|{text}\rPID|1||{patient}\r".encode()


def test_answers_come_in_the_order_of_the_messages(start: Start) -> None:
    running = start()
    with running.connect() as wire:
        wire.sendall(frame(message("1", "wait")) + b"".join(frame(message(str(n), f"m{n}")) for n in range(2, 10)))
        until(lambda: len(running.work.seen) > 3)  # others were worked on before it, and are held back
        running.work.gate.set()
        assert receive(wire, 9) == [message("1", "wait"), *(message(str(n), f"m{n}") for n in range(2, 10))]


def test_messages_of_one_patient_are_worked_on_in_order_across_connections(start: Start) -> None:
    running = start(workers=8)
    with running.connect() as first, running.connect() as second:
        first.sendall(frame(message("7", "wait 1")))
        until(lambda: running.work.now == 1)
        second.sendall(frame(message("7", "2")) + frame(message("8", "other")))
        until(lambda: message("8", "other") in running.work.seen)
        assert message("7", "2") not in running.work.seen
        running.work.gate.set()
        receive(second, 2)
    assert [one for one in running.work.seen if b"||7" in one] == [message("7", "wait 1"), message("7", "2")]


def test_a_merge_overtakes_no_message_of_either_patient_and_none_overtakes_it(start: Start) -> None:
    running = start(workers=8)
    merge, later = message("1", "merge") + b"MRG|2^^^A\r", message("2", "later")
    with running.connect() as wire:
        wire.sendall(b"".join(map(frame, (message("2", "wait"), merge, later, message("3", "other")))))
        until(lambda: message("3", "other") in running.work.seen)
        assert not {merge, later} & set(running.work.seen)
        running.work.gate.set()
        receive(wire, 4)
    assert [one for one in running.work.seen if b"other" not in one] == [message("2", "wait"), merge, later]


def test_a_sender_that_sends_without_reading_is_made_to_wait_and_loses_nothing(start: Start) -> None:
    running = start(max_in_flight=2, max_waiting=3)
    body = b"x" * 50_000
    with running.connect() as wire, running.connect() as other:
        wire.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            for number in range(2000):
                data = frame(message("1", f"wait{number}") + body)
                wire.sendall(data)
                sent += 1
        assert sent < 2000 and running.count("musubi_mllp_messages_waiting") <= 3
        other.sendall(frame(message("2", "meanwhile")))
        assert receive(other) == [message("2", "meanwhile")]
        running.work.gate.set()
        wire.settimeout(PATIENCE_S)
        assert len(receive(wire, sent)) == sent


def test_no_more_is_read_than_may_wait_in_all(start: Start) -> None:
    running = start(max_waiting=5, max_in_flight=4, workers=16)
    with ExitStack() as stack:
        wires = [stack.enter_context(running.connect()) for _ in range(6)]
        for number, wire in enumerate(wires):
            wire.sendall(b"".join(frame(message(f"{number}{n}", f"wait {number}")) for n in range(4)))
        until(lambda: running.count("musubi_mllp_messages_waiting") == 5)
        time.sleep(0.1)
        assert running.count("musubi_mllp_messages_waiting") == 5 and running.work.most <= 5
        running.work.gate.set()
        assert [len(receive(wire, 4)) for wire in wires] == [4] * 6


def test_a_block_too_large_is_answered_and_its_connection_closed_but_no_other(start: Start) -> None:
    running = start(max_bytes=100_000)
    with running.connect() as other, running.connect() as wire:
        wire.sendall(b"\x0bMSH|^~\\&|" + b"y" * 3_000_000)
        assert receive(wire) == [b"large"] and ended(wire)
        other.sendall(frame(b"MSH|^~\\&|ok"))
        assert receive(other) == [b"MSH|^~\\&|ok"]


def test_a_large_block_below_the_limit_passes(start: Start) -> None:
    running = start()
    data = b"MSH|^~\\&|" + b"z" * (3 * LARGE)
    with ExitStack() as stack:
        wires = [stack.enter_context(running.connect()) for _ in range(12)]  # more than there are slots
        threads = [threading.Thread(target=wire.sendall, args=(frame(data),)) for wire in wires]
        for thread in threads:
            thread.start()
        assert [receive(wire) == [data] for wire in wires] == [True] * 12
        for thread in threads:
            thread.join()


def test_a_sender_without_the_last_carriage_return_is_answered(start: Start) -> None:
    running = start()
    with running.connect() as wire:
        for number in range(2):
            wire.sendall(b"\x0bMSH|^~\\&|%d\x1c" % number)
            assert receive(wire) == [b"MSH|^~\\&|%d" % number]


def test_a_sender_that_closes_its_half_still_hears_the_answer(start: Start) -> None:
    running = start()
    with running.connect() as wire:
        wire.sendall(frame(message("1", "wait")))
        wire.shutdown(socket.SHUT_WR)
        running.work.gate.set()
        assert receive(wire) == [message("1", "wait")] and ended(wire)


def test_half_a_message_at_the_end_is_no_message(start: Start) -> None:
    running = start()
    with running.connect() as wire:
        wire.sendall(frame(b"MSH|1") + b"\x0bMSH|half")
        assert receive(wire) == [b"MSH|1"]
    until(lambda: running.count('musubi_mllp_connections_ended_total{reason="cut"}') == 1)
    assert running.work.seen == [b"MSH|1"]


def test_garbage_between_messages_is_passed_over_and_counted(start: Start) -> None:
    running = start()
    with running.connect() as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n" + frame(b"MSH|1") + b"xyz" + frame(b"MSH|2"))
        assert receive(wire, 2) == [b"MSH|1", b"MSH|2"]
    assert running.count("musubi_mllp_skipped_bytes_total") == 15


def test_an_answer_may_end_the_connection(start: Start) -> None:
    running = start()
    with running.connect() as wire:
        wire.sendall(frame(b"MSH|close"))
        assert receive(wire, 2) == [b"MSH|close"]
        assert ended(wire)


def test_a_silent_sender_is_let_go_but_not_while_it_waits_for_us(start: Start) -> None:
    running = start(idle_timeout_s=0.3)
    with running.connect() as wire:
        wire.sendall(frame(message("1", "wait")))
        time.sleep(0.8)
        running.work.gate.set()
        assert receive(wire) == [message("1", "wait")]
        assert ended(wire)
    assert running.count('musubi_mllp_connections_ended_total{reason="idle"}') == 1


def test_a_message_that_comes_by_drops_is_given_up(start: Start) -> None:
    running = start(block_timeout_s=0.5)
    began = time.monotonic()
    with running.connect() as wire, pytest.raises(OSError):
        wire.sendall(b"\x0bMSH|")
        while time.monotonic() < began + PATIENCE_S:
            wire.sendall(b"a")
            time.sleep(0.05)
            wire.settimeout(0.001)
            try:
                if not wire.recv(1):
                    raise ConnectionResetError
            except TimeoutError:
                pass
    assert time.monotonic() - began < 5
    until(lambda: running.count('musubi_mllp_connections_ended_total{reason="slow"}') == 1)


def test_connections_above_the_limits_are_closed_at_once(start: Start) -> None:
    running = start(max_per_address=2)
    with running.connect() as one, running.connect() as two:
        for wire in (one, two):
            wire.sendall(frame(b"MSH|1"))
            assert receive(wire) == [b"MSH|1"]
        with running.connect() as three:
            assert ended(three)
        assert running.count("musubi_mllp_connections_refused_total") == 1
    until(lambda: running.count("musubi_mllp_connections") == 0)
    with running.connect() as wire:
        wire.sendall(frame(b"MSH|2"))
        assert receive(wire) == [b"MSH|2"]


def test_a_sender_that_breaks_off_disturbs_nobody(start: Start) -> None:
    running = start()
    for number in range(20):
        wire = running.connect()
        wire.sendall(frame(message(str(number), "wait")))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()  # a reset
    running.work.gate.set()
    until(lambda: len(running.work.seen) == 20)
    until(lambda: running.count("musubi_mllp_connections") == 0)
    with running.connect() as wire:
        wire.sendall(frame(b"MSH|1"))
        assert receive(wire) == [b"MSH|1"]


def test_an_error_of_the_program_is_answered_and_the_connection_goes_on(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    running = start()
    with running.connect() as wire:
        wire.sendall(frame(b"MSH|fail") + frame(b"MSH|1"))
        assert receive(wire, 2) == [b"AE 207", b"MSH|1"]
    captured = capsys.readouterr()
    assert "RuntimeError" in captured.out + captured.err and "山田" not in captured.out + captured.err


def test_a_message_that_gets_no_answer_does_not_hold_up_the_next(start: Start) -> None:
    running = start(max_in_flight=1)
    with running.connect() as wire:
        wire.sendall(frame(b"MSH|nothing") + frame(b"MSH|1"))
        assert receive(wire) == [b"MSH|1"]


def test_a_stop_finishes_and_answers_what_was_received(start: Start) -> None:
    running = start()
    with running.connect() as wire, running.connect() as idle:
        wire.sendall(frame(message("1", "wait")) + frame(message("2", "two")) + b"\x0bMSH|half")
        until(lambda: running.count("musubi_mllp_messages_waiting") == 2)
        running.server.stop()
        time.sleep(0.1)
        running.work.gate.set()
        assert receive(wire, 2) == [message("1", "wait"), message("2", "two")]
        assert ended(wire) and ended(idle)
    running.thread.join(PATIENCE_S)
    assert not running.thread.is_alive()


def test_a_thousand_idle_connections_cost_no_thread(start: Start) -> None:
    running = start()
    with ExitStack() as stack:
        wire = stack.enter_context(running.connect())
        wire.sendall(frame(b"MSH|1"))
        receive(wire)
        before = threading.active_count()
        wires = [stack.enter_context(running.connect()) for _ in range(300)]
        wires[-1].sendall(frame(b"MSH|2"))
        assert receive(wires[-1]) == [b"MSH|2"]
        # Fewer is well: threads of tests before this one may end meanwhile.
        assert threading.active_count() <= before and running.count("musubi_mllp_connections") == 301


def test_a_taken_port_is_said_so(start: Start) -> None:
    running = start()
    with pytest.raises(Unavailable, match=str(running.server.port)):
        MllpServer(Mllp(port=running.server.port), running.work.handle, running.work.failed, MllpMetrics())


def test_told_to_stop_before_it_runs_it_does_not_run() -> None:
    server = MllpServer(Mllp(port=free_port()), Work().handle, Work().failed, MllpMetrics())
    server.stop()
    server.run()
    assert not server.listening
