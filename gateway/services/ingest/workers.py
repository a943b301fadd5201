"""Reading files in worker processes: chunks of paths out, outcomes back, never more than a few chunks on the way."""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import Final

from gateway.errors import Unavailable
from gateway.model.ingest import FileOutcome
from gateway.services.ingest.files import Found
from gateway.services.ingest.reading import Reader

CHUNK: Final = 32
"""Files a worker takes at a time."""
IN_FLIGHT: Final = 6
"""Chunks on the way for each worker: enough to keep it busy while the parent writes a batch, and a bound on memory."""
ALONE: Final = 200
"""Up to this many files are read in the process itself: a worker takes longer to start."""

MakeReader = Callable[[], Reader]

_reader: Reader | None = None


def read_all(found: Iterable[Found], make_reader: MakeReader, workers: int) -> Iterator[FileOutcome]:
    """Outcomes in the order of the files. `workers` 0: one a core. `make_reader` has to be picklable.

    Raises Unavailable when a worker process dies; what was stored before stays, and a new run goes on from there.
    """
    source = iter(found)
    first = list(islice(source, ALONE + 1))
    if len(first) <= ALONE:
        reader = make_reader() if first else None
        for one in first:
            assert reader is not None
            yield reader.read(one)
        return
    count = workers or os.cpu_count() or 1
    # spawn, not fork: the parent has threads (the storage writer) whose locks a forked child would inherit.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(make_reader,))
    waiting: deque[Future[list[FileOutcome]]] = deque()
    try:
        for chunk in _chunks(chain(first, source)):
            waiting.append(pool.submit(_read, chunk))
            if len(waiting) >= count * IN_FLIGHT:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise Unavailable("a worker process ended before its work was done; run ingest again to go on") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _chunks(found: Iterator[Found]) -> Iterator[list[Found]]:
    while chunk := list(islice(found, CHUNK)):
        yield chunk


def _start(make_reader: MakeReader) -> None:
    """Runs once in a worker. Ctrl-C is the parent's to handle; a parent that was killed takes its workers along."""
    global _reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _reader = make_reader()
    _collect_seldom()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """While ingest runs, Python looks for cycles seldom: millions of objects come and go that have none, and with the
    interpreter's own thresholds a fifth of the time went into looking at them again."""
    before = gc.get_threshold()
    _collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _collect_seldom() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _read(chunk: list[Found]) -> list[FileOutcome]:
    assert _reader is not None
    return [_reader.read(found) for found in chunk]
