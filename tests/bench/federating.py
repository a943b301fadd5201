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
from gateway.sandbox.stub_community import serve, well
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
_LATE_S = 5.0
_LATE_MS = 100.0
_REFUSED_MS = 100.0
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
    count = COMMUNITIES if size.queries >= 60 else 3
    with ExitStack() as stack:
        folder.mkdir(exist_ok=True)
        parts = stack.enter_context(fed_node(folder, [DEMO / "tokyo" / "1310000001"]))
        spread = stack.enter_context(_communities(_SPREAD_S[-count:]))
        each = f"taking {_SPREAD_S[-count] * 1000:.0f} to {_SPREAD_S[-1] * 1000:.0f} ms"
        yield _overhead(_asker(folder, parts, spread, deadline_s=10), runs, each, "federation, over the slowest", 20)
        deadline_s = _HUNG_DEADLINE_S if size.queries >= 60 else 0.9
        yield _at_the_deadline(folder, parts, spread, size.runs, deadline_s)
    with ExitStack() as stack:
        parts = stack.enter_context(fed_node(folder, []))
        alike = stack.enter_context(_communities([_DELAY_S] * count))
        each = f"all taking {_DELAY_S * 1000:.0f} ms"
        yield _overhead(_asker(folder, parts, alike, deadline_s=10), runs, each, "federation, all at one moment", None)
    with ExitStack() as stack:
        parts = stack.enter_context(fed_node(folder, []))
        quick = stack.enter_context(_communities([0.0] * count))
        yield _throughput(folder, parts, quick, size)
    yield from _crowd(folder, size)


def _overhead(ask: Callable[..., dict[str, Any]], runs: int, each: str, name: str, limit: float | None) -> Figure:
    """Each community alone, and all of them at once: how much later the joint answer is than the slowest's."""
    everybody = ask()
    assert all(one["outcome"] in ("ok", "nothing") for one in everybody["communities"]), everybody["communities"]
    homes = [one["community"] for one in everybody["communities"]]
    alone = max(
        statistics.median(_ms(lambda home=home: ask((home,))) for _ in range(max(1, runs // 4))) for home in homes
    )  # type: ignore[misc]
    together = sorted(_ms(ask) for _ in range(runs))
    p50, p95 = statistics.median(together), together[int(len(together) * 0.95) - 1]
    note = (
        f"{len(homes) - 1} processes, {each} for each of two exchanges: {p50:.0f} ms (p95 {p95:.0f});"
        f" slowest alone {alone:.0f} ms; {len(everybody['rows'])} rows"
    )
    return Figure(name, max(0.01, p50 - alone), "ms", limit, note=note)


def _at_the_deadline(folder: Path, parts: Any, good: list[dict[str, Any]], runs: int, deadline_s: float) -> Figure:
    hung, late = stub(_home(90)), stub(_home(91))
    with serve(misbehaving.hang(hung)) as one, serve(well(late, _LATE_S)) as other:
        peers = [*good[2:], peer(hung.home, one), peer(late.home, other)]
        ask = _asker(folder, parts, peers, deadline_s=deadline_s, **_CLOSED)
        ask()
        over = [_ms(ask) - deadline_s * 1000 for _ in range(runs)]
        found = ask()
    outcomes = [one["outcome"] for one in found["communities"]]
    assert outcomes.count("timeout") == 2 and outcomes.count("ok") == len(outcomes) - 2, outcomes
    note = f"{len(good) - 2} answer, 1 hangs, 1 takes {_LATE_S:.0f} s, deadline {deadline_s * 1000:.0f} ms: the latest of {runs} answers is so much later"
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
        f"{federated:.1f} questions a second to {len(peers)} communities at once; alone they answer {each:.0f} a second"
        " all together, asker and communities on the same two cores"
    )
    return Figure("federation, throughput", federated / (each / len(peers)), "of sum/10", 0.5, at_least=True, note=note)


def _a_second(work: Callable[[int], object], times: int, threads: int = 4) -> float:
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(work, range(times)))
        return times / (time.perf_counter() - began)


def _crowd(folder: Path, size: material.Size) -> Iterator[Figure]:
    """More questions than a node takes, while its only peer hangs: 32 are worked on, the others are told at once."""
    crowd, deadline_s = (1000, 3.0) if size.queries >= 60 else (50, 1.5)
    with fed_node(folder / "crowd", []) as parts, serve(misbehaving.hang(stub())) as url:
        limits = {"deadline_s": deadline_s, **_CLOSED}
        member = Member(settings(folder, peer(stub().home, url), http={"port": free_port()}, federation=limits), parts)
        member.start()
        port = member.settings.http.port
        try:
            before = _resident()
            steady = asyncio.run(_while_full(port, 40))
            at_once = asyncio.run(_all_at_once(port, crowd))
            grown = _resident() - before
        finally:
            member.stop()
    refused = sorted(ms for status, ms in steady if status == 503)
    note = f"one after another while 32 wait for a hung community: {len(refused)} of {len(steady)} refused"
    yield Figure("federation, refusing", refused[-1], "ms, the latest", _REFUSED_MS, note=note)
    shed = sorted(ms for status, ms in at_once if status == 503)
    taken = [ms for status, ms in at_once if status == 200]
    assert len(shed) + len(taken) == crowd and shed, at_once[:5]
    note = (
        f"{crowd} in one instant: {len(taken)} answered at the deadline of {deadline_s:.0f} s, {len(shed)} refused with 503, the latest"
        f" after {shed[-1]:.0f} ms; all clients in the node's own process"
    )
    yield Figure("federation, a crowd refused", shed[len(shed) // 2], "ms p50", note=note)
    note = "resident memory, node and clients together"
    yield Figure("federation, memory of a crowd", max(0.01, grown), "MiB", note=note)


async def _while_full(port: int, times: int) -> list[tuple[int, float]]:
    waiting = [asyncio.create_task(_one(port)) for _ in range(34)]
    await asyncio.sleep(1.0)
    measured = [await _one(port) for _ in range(times)]
    await asyncio.gather(*waiting)
    return measured


async def _all_at_once(port: int, crowd: int) -> list[tuple[int, float]]:
    return list(await asyncio.gather(*(_one(port) for _ in range(crowd))))


async def _one(port: int) -> tuple[int, float]:
    """Status of one federated search, and milliseconds from its last byte to the first of the answer."""
    query = urlencode(
        {"_federated": "true", "patient.identifier": f"urn:oid:{MEDICAL_ID.authority}|{MEDICAL_ID.value}"}
    )
    data = f"GET /fhir/Observation?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
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


def _resident() -> float:
    """MiB."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
