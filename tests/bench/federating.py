"""Federation: ten communities as processes of their own on this machine, asked by XCPD, XCA and retrieval over HTTP."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gateway import app
from gateway.codec import ebxml
from gateway.ihe import iti38
from gateway.ihe._client import Call
from gateway.ihe._transport import session
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.sandbox import misbehaving
from gateway.sandbox.stub_community import serve
from gateway.serve.federation_api import FederatedQuestion
from tests.bench import material
from tests.bench.measure import Figure
from tests.federation_parts import DEMO, MEDICAL_ID, Member, fed_node, free_port, peer, settings, stub

COMMUNITIES = 10
_DELAY_S = 0.1
_SPREAD_S = tuple(0.02 * (number + 1) for number in range(COMMUNITIES))
"""Each takes so long for one exchange: the slowest of ten is ten times slower than the quickest."""
_DOCUMENTS = 5
_HUNG_DEADLINE_S = 1.0
_LATE_MS = 100.0
_CLOSED = {"breaker_failures": 1000}
"""So that a bad community is waited for each time."""


def _home(number: int) -> str:
    return f"urn:oid:1.2.392.200119.99999.{300 + number}"


@contextmanager
def _communities(delays_s: Sequence[float]) -> Iterator[list[dict[str, Any]]]:
    """So many processes; what `[[peers]]` says of them."""
    running = []
    try:
        for number, delay_s in enumerate(delays_s):
            command = [sys.executable, "-m", "tests.bench.stub_process", _home(number), str(delay_s), str(_DOCUMENTS)]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        addresses = [one.stdout.readline().strip() for one in running if one.stdout]
        yield [peer(_home(number), url) for number, url in enumerate(addresses)]
    finally:
        for one in running:
            one.kill()
            one.wait()


def _asker(folder: Path, parts: Any, peers: list[dict[str, Any]], **federation: Any) -> Callable[..., dict[str, Any]]:
    node = app.Node(settings(folder, *peers, federation=federation), parts)
    api = node.http({}).federation

    def ask(communities: tuple[str, ...] | None = None) -> dict[str, Any]:
        question = FederatedQuestion(MEDICAL_ID, ("lab",), communities, None)
        return api.query(question, Caller(node="bench"), UNRESTRICTED)

    return ask


def _ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def federation(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Overhead, deadline, throughput, and a thousand questions at once."""
    runs = max(3, size.queries // 3)
    with ExitStack() as stack:
        folder.mkdir(exist_ok=True)
        parts = stack.enter_context(fed_node(folder, [DEMO / "tokyo" / "1310000001"]))
        spread = stack.enter_context(_communities(_SPREAD_S))
        each = f"take {_SPREAD_S[0] * 1000:.0f} to {_SPREAD_S[-1] * 1000:.0f} ms"
        yield _overhead(_asker(folder, parts, spread, deadline_s=10), runs, each, "federation, over the slowest", 20)
        yield _at_the_deadline(folder, parts, spread, max(3, size.runs))
    with ExitStack() as stack:
        parts = stack.enter_context(fed_node(folder, []))
        alike = stack.enter_context(_communities([_DELAY_S] * COMMUNITIES))
        each = f"all take {_DELAY_S * 1000:.0f} ms"
        yield _overhead(_asker(folder, parts, alike, deadline_s=10), runs, each, "federation, all at one moment", None)
    with ExitStack() as stack:
        parts = stack.enter_context(fed_node(folder, []))
        quick = stack.enter_context(_communities([0.0] * COMMUNITIES))
        yield _throughput(folder, parts, quick, size)
    yield from _crowd(folder, size)


def _overhead(ask: Callable[..., dict[str, Any]], runs: int, each: str, name: str, limit: float | None) -> Figure:
    """Each community alone, and all of them at once: how much later the joint answer is than the slowest's."""
    everybody = ask()
    assert all(one["outcome"] in ("ok", "nothing") for one in everybody["communities"]), everybody["communities"]
    homes = [one["community"] for one in everybody["communities"]]
    alone = max(
        statistics.median(_ms(lambda home=home: ask((home,))) for _ in range(max(3, runs // 4))) for home in homes
    )  # type: ignore[misc]
    together = sorted(_ms(ask) for _ in range(runs))
    p50, p95 = statistics.median(together), together[int(len(together) * 0.95) - 1]
    note = (
        f"{COMMUNITIES} processes, {each} for each of two exchanges: {p50:.0f} ms (p95 {p95:.0f});"
        f" slowest alone {alone:.0f} ms; {len(everybody['rows'])} rows"
    )
    return Figure(name, max(0.01, p50 - alone), "ms", limit, note=note)


def _at_the_deadline(folder: Path, parts: Any, good: list[dict[str, Any]], runs: int) -> Figure:
    hung, late = stub(_home(90)), stub(_home(91))
    with serve(misbehaving.hang(hung)) as one, serve(misbehaving.KINDS["hang"](late)) as other:
        peers = [*good[: COMMUNITIES - 2], peer(hung.home, one), peer(late.home, other)]
        ask = _asker(folder, parts, peers, deadline_s=_HUNG_DEADLINE_S, **_CLOSED)
        ask()
        over = [_ms(ask) - _HUNG_DEADLINE_S * 1000 for _ in range(runs)]
        found = ask()
    outcomes = [one["outcome"] for one in found["communities"]]
    assert outcomes.count("timeout") == 2 and outcomes.count("ok") == len(outcomes) - 2, outcomes
    note = f"8 answer, 2 are silent, deadline {_HUNG_DEADLINE_S * 1000:.0f} ms: the latest of {runs} answers is so much later"
    return Figure("federation, after the deadline", max(0.01, max(over)), "ms", _LATE_MS, note=note)


def _throughput(folder: Path, parts: Any, peers: list[dict[str, Any]], size: material.Size) -> Figure:
    ask = _asker(folder, parts, peers, deadline_s=30)
    found = ask()
    assert all(one["outcome"] in ("ok", "nothing") for one in found["communities"]), found["communities"]
    questions = max(6, size.queries)
    federated = _a_second(lambda _: ask(), questions)
    call = Call(session(8))

    def local(number: int) -> None:
        one = peers[number % len(peers)]
        patient = f"stub-1^^^&{one['id'].removeprefix('urn:oid:')}.1&ISO"
        slots = [("$XDSDocumentEntryPatientId", (patient,), False)]
        body = ebxml.adhoc_query_request("urn:x", one["id"], "LeafClass", slots)
        call.send(one["xca"], iti38.TRANSACTION.action, body, deadline_s=30)

    each = _a_second(local, questions * 10) / 2  # a question of ours is two exchanges with each community
    note = (
        f"{federated:.1f} questions a second to {COMMUNITIES} communities at once; alone they answer {each:.0f} a second"
        " all together, asker and communities on the same two cores"
    )
    return Figure(
        "federation, throughput", federated / (each / COMMUNITIES), "of sum/10", 0.5, at_least=True, note=note
    )


def _a_second(work: Callable[[int], object], times: int, threads: int = 4) -> float:
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(work, range(times)))
        return times / (time.perf_counter() - began)


def _crowd(folder: Path, size: material.Size) -> Iterator[Figure]:
    """So many federated questions at once to a node whose only peer hangs: 32 are taken, the others are told at once."""
    crowd = 1000 if size.queries >= 60 else 50
    with fed_node(folder / "crowd", []) as parts, serve(misbehaving.hang(stub())) as url:
        limits = {"deadline_s": 2, **_CLOSED}
        member = Member(settings(folder, peer(stub().home, url), http={"port": free_port()}, federation=limits), parts)
        member.start()
        try:
            before = _resident()
            times = asyncio.run(_ask_all(member.settings.http.port, crowd))
            grown = _resident() - before
        finally:
            member.stop()
    shed = sorted(ms for status, ms in times if status == 503)
    taken = [ms for status, ms in times if status == 200]
    assert len(shed) + len(taken) == crowd and shed, times[:5]
    p99 = shed[int(len(shed) * 0.99) - 1]
    note = (
        f"{crowd} at once: {len(taken)} answered at the deadline (the latest after {max(taken, default=0):.0f} ms),"
        f" {len(shed)} refused with 503, p50 {shed[len(shed) // 2]:.0f} ms, all clients in this process"
    )
    yield Figure("federation, refusing", p99, "ms p99", note=note)
    note = "resident memory of the node's process and all clients, which are the same process"
    yield Figure("federation, memory of a crowd", max(0.01, grown), "MiB", note=note)


async def _ask_all(port: int, crowd: int) -> list[tuple[int, float]]:
    query = urlencode(
        {"_federated": "true", "patient.identifier": f"urn:oid:{MEDICAL_ID.authority}|{MEDICAL_ID.value}"}
    )
    data = f"GET /fhir/Observation?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()

    async def one() -> tuple[int, float]:
        for attempt in range(100):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:  # the queue of connections of the system itself is full
                await asyncio.sleep(0.01 * (attempt + 1))
        began = time.perf_counter()
        writer.write(data)
        line = await reader.readline()
        ms = (time.perf_counter() - began) * 1000
        await reader.read()
        writer.close()
        return int(line.split()[1]), ms

    return list(await asyncio.gather(*(one() for _ in range(crowd))))


def _resident() -> float:
    """MiB."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
