"""MLLP: messages a second from sender to committed acknowledgement, and what idle connections cost."""

import logging
import multiprocessing
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog
from sqlalchemy import event
from sqlalchemy.pool import Pool

from gateway import app
from gateway.codec.mllp import Decoder, frame
from gateway.ihe._v2 import answer, failed
from gateway.serve.metrics import MllpMetrics
from gateway.serve.mllp import MllpServer
from gateway.settings import Mllp
from tests.bench import material
from tests.bench.measure import Figure

CONNECTIONS = (1, 8, 50)
RATIO = 0.6
"""Of the same node that does not wait for the disk."""
_LISTENING_S = 60.0


def mllp(folder: Path, size: material.Size) -> Iterator[Figure]:
    """OUL^R22 with 30 results over loopback, each sender with one message on its way, node in a process of its own.

    The floor is the same node with `synchronous = OFF`: everything is done but waiting for the disk.
    """
    count = size.messages * 8
    rates: dict[tuple[int, bool], float] = {}
    for volatile in (False, True):
        with _node(folder / f"node-{volatile}", volatile) as (port, _):
            number = 1
            for connections in CONNECTIONS:
                rates[connections, volatile] = _rate(port, connections, count, number)
                number += count
    for connections in CONNECTIONS[:2]:
        note = f"{count} OUL^R22 of 30 results, committed before each acknowledgement"
        yield Figure(
            f"mllp, {connections} connection{'s' * (connections > 1)}",
            rates[connections, False],
            "messages/s",
            note=note,
        )
    many = CONNECTIONS[-1]
    note = f"{rates[many, False]:,.0f} messages/s; floor: without waiting for the disk {rates[many, True]:,.0f}"
    yield Figure(
        f"mllp, {many} connections", rates[many, False] / rates[many, True], "x", RATIO, at_least=True, note=note
    )
    yield from _idle(folder / "idle", 1000 if size.messages > 3 else 20)


def _rate(port: int, connections: int, count: int, first: int) -> float:
    """Messages a second over so many connections, a thread each."""
    messages = [material.laboratory_message(first + n) for n in range(count)]
    parts = [messages[n::connections] for n in range(connections)]
    refused: list[bytes] = []
    threads = [threading.Thread(target=partial(_send, port, part, refused)) for part in parts]
    start = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = perf_counter() - start
    assert not refused, refused[0]
    return count / seconds


def _send(port: int, messages: list[bytes], refused: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as wire:
        decoder = Decoder(1 << 20)
        for message in messages:
            wire.sendall(frame(message))
            while not (blocks := decoder.feed(wire.recv(65536))):
                pass
            if b"\rMSA|AA|" not in blocks[0].data:
                refused.append(blocks[0].data)


def _idle(folder: Path, count: int) -> Iterator[Figure]:
    """Memory and threads of the node before and with idle connections (from /proc, else nothing)."""
    if not Path("/proc/self/status").is_file():
        return
    with _node(folder, False) as (port, pid), ExitStack() as stack:
        _send(port, [material.laboratory_message(1)], [])
        before, threads = _status(pid)
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        _send(port, [material.laboratory_message(2)], [])
        after, threads_after = _status(pid)
    note = (
        f"{before / 1024:.0f} MB with none, {after / 1024:.0f} MB with {count}; threads {threads} and {threads_after}"
    )
    yield Figure("mllp, an idle connection", max(after - before, 1) / count, "KiB", note=note)


def _status(pid: int) -> tuple[int, int]:
    """(resident KiB, threads)"""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]), int(fields["Threads"])


@contextmanager
def _node(folder: Path, volatile: bool) -> Iterator[tuple[int, int]]:
    """(port, process id) of a node that listens."""
    folder.mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, volatile, theirs))
    process.start()
    try:
        if not ours.poll(_LISTENING_S):
            raise TimeoutError("the node does not listen")
        yield ours.recv(), process.pid or 0
    finally:
        ours.close()
        process.join(30)
        if process.is_alive():
            process.kill()


def _serve(folder: Path, volatile: bool, pipe: Connection) -> None:
    """A node's MLLP role on a free port until the other end of the pipe is gone."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if volatile:
        event.listen(Pool, "checkout", _do_not_wait)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    chosen = material.settings(folder)
    with app.storage(chosen) as parts:
        services = app.Node(chosen, parts).v2()
        server = MllpServer(
            Mllp(port=port),
            lambda block, address: answer(block, address, services),
            lambda block, error: failed(block, error, services),
            MllpMetrics(),
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        pipe.send(port)
        try:
            pipe.recv()
        except EOFError:
            server.stop()
        thread.join()


def _do_not_wait(connection: Any, _record: Any, _proxy: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")
