"""The identity index: registrations with matching, cross-reference against a bare look-up, demographics by size."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter

from gateway import app
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.model.ingest import FileOutcome
from gateway.model.person import PersonFeed, PersonQuery
from gateway.sandbox import persons
from gateway.services.persons import Persons, feeding
from gateway.settings import Settings
from tests.bench import material
from tests.bench.measure import Figure, once

_BATCH = 200
"""Registrations of one commit while they are measured: what comes meanwhile at a busy node."""
_FIRST_LOAD = 5_000
"""The same while the index is built, through the same path: so a first load of files commits."""
_SEED = 20261120
_FEEDS_A_SECOND = 300
_RAW = "SELECT eid FROM identity WHERE authority = ? AND value = ?"


def identity(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Registrations a second of one core (CPU time: the disk is the neighbours'), at each size, while the index grows;
    then what a query costs in each."""
    known: dict[int, tuple[float, float]] = {}
    found: dict[str, dict[int, float]] = {"kana name and birth date": {}, "birth date": {}}
    with _node(folder) as (index, database):
        feeds = _feeds(index, size.identities[-1])
        stored = 0
        for wanted in size.identities:
            last = min(2_000, wanted - stored)
            _register(index, islice(feeds, wanted - stored - last), _FIRST_LOAD)
            spent = once(lambda some=list(islice(feeds, last)): _register(index, some))
            known[wanted] = (last / spent.cpu, last / spent.wall)
            stored = wanted
            asked = _asked(database, size.queries * 10)
            for kind, figures in found.items():
                figures[wanted] = _slow(index, kind, asked)
        ratio, note = _cross_reference(index, database, size.queries * 50)
    rates = (
        f"{count:,} persons {cpu:,.0f}/s of CPU, {wall:,.0f}/s by the clock" for count, (cpu, wall) in known.items()
    )
    rate = known[size.identities[-1]][0]
    yield Figure("identity, registrations with matching", rate, "/s", _FEEDS_A_SECOND, True, ", ".join(rates))
    yield Figure("identity, PIX query against a bare look-up", ratio, "x", 2.0, note=note)
    for kind, figures in found.items():
        few, many = size.identities[0], size.identities[-1]
        note = ", ".join(f"{count:,} persons p99 {seconds * 1e6:,.0f} µs" for count, seconds in figures.items())
        limit = 1.5 if kind.startswith("kana") else None
        yield Figure(f"identity, {kind}, p99 by size", figures[many] / figures[few], "x", limit, note=note)


@contextmanager
def _node(folder: Path) -> Iterator[tuple[Persons, Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    domains = [{"oid": oid, "namespace": f"H{n}"} for n, oid in enumerate(persons.DOMAINS)]
    medical = {"oid": "1.2.392.200119.99999.3", "namespace": "MED", "kind": "medical-id"}
    settings = Settings.model_validate({"directory": folder, "authorities": [*domains, medical]})
    with app.storage(settings) as parts:
        database = settings.database_file
        assert database is not None
        yield app.Node(settings, parts).persons(), database


def _feeds(index: Persons, count: int) -> Iterator[PersonFeed]:
    for number, line in enumerate(persons.records(_SEED, count)):
        time = f"2026010100{number // 60 % 60:02d}{number % 60:02d}000"
        yield PersonFeed("add", line.ids, (), line.demographics, time, "BENCH", str(number), "ITI-8")


def _register(index: Persons, feeds: Iterator[PersonFeed] | list[PersonFeed], at_once: int = _BATCH) -> None:
    batch: list[FileOutcome] = []
    authorities = {one.oid: one for one in index.domains()}
    for event in feeds:
        batch.append(feeding.outcome(event, feeding.messages(event, authorities)))
        if len(batch) == at_once:
            index.keeping.keep(batch, _record)
            batch = []
    if batch:
        index.keeping.keep(batch, _record)


def _record(outcome: FileOutcome, state: str) -> AuditRecord:
    return AuditRecord("110110", "ITI-8", "C", 0, "BENCH", detail=state)


def _asked(database: Path, count: int) -> list[tuple[str, str]]:
    """(kana family name, birth date) of some records."""
    chance, found = Random(_SEED), list[tuple[str, str]]()
    with closing(sqlite3.connect(database)) as connection:
        (last,) = connection.execute("SELECT max(n) FROM person_record").fetchone()
        while len(found) < count:
            found += connection.execute(
                "SELECT t.value, r.birth_date FROM person_term t JOIN person_record r ON r.n = t.n WHERE t.n = ?"
                " AND t.kind = 'f' AND t.value BETWEEN 'ァ' AND 'ー' AND length(r.birth_date) = 8 LIMIT 1",
                (chance.randint(1, last),),
            ).fetchall()
    return found


def _slow(index: Persons, kind: str, asked: list[tuple[str, str]]) -> float:
    """Seconds of the 99th percentile."""
    spent = []
    for family, birth in asked:
        query = PersonQuery(family=(family,) if kind.startswith("kana") else (), birth_date=birth)
        best = 10.0
        for _ in range(3):
            start = perf_counter()
            index.search(query, UNRESTRICTED)
            best = min(best, perf_counter() - start)
        spent.append(best)
    return sorted(spent)[int(len(spent) * 0.99)]


def _cross_reference(index: Persons, database: Path, count: int) -> tuple[float, str]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        rows = connection.execute("SELECT authority, value FROM identity_patient ORDER BY patient").fetchall()
        ids = [PatientId(value, authority) for authority, value in Random(_SEED).choices(rows, k=count)]
        domains = (persons.DOMAINS[0],)

        def bare() -> None:
            for id_ in ids:
                connection.execute(_RAW, (id_.authority, id_.value)).fetchone()

        def asked() -> None:
            for id_ in ids:
                index.cross_reference(id_, domains, UNRESTRICTED)

        costs = {name: [once(call).cpu / count for _ in range(5)] for name, call in (("bare", bare), ("pix", asked))}
    best = {name: min(spent) for name, spent in costs.items()}
    note = f"{best['pix'] * 1e6:.1f} µs a query, {best['bare'] * 1e6:.1f} µs a bare indexed look-up"
    return best["pix"] / best["bare"], note
