"""Whether FindDocuments gets slower with the registry: the 99th percentile at two sizes, 20 documents a person."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from time import perf_counter

from gateway.ihe._queries_documents import document_query
from gateway.model.caller import UNRESTRICTED
from gateway.model.document import APPROVED, STABLE
from gateway.model.identity import PatientId
from gateway.storage.documents import DocumentTable
from tests.bench import material
from tests.bench.measure import Figure

DOCUMENTS = 20
_AUTHORITY = "1.2.3"
_OBJECT = (
    'INSERT INTO registry_object (n, "entryUUID", "uniqueId", "objectType", status, eid, facility, time, xml)'
    f" VALUES (?, ?, ?, '{STABLE}', '{APPROVED}', ?, '1.2.3', ?, ?)"
)
_XML = b"x" * 200
"""Short, so that a million people fit on a disk; what is asked is the way to the rows, not their length."""


def growth(folder: Path, size: material.Size) -> Iterator[Figure]:
    """The registry is filled by its tables: submitting so many documents would take a day."""
    found: dict[int, float] = {}
    with material.node(folder) as node:
        held = 0
        for people in size.registries:
            with closing(sqlite3.connect(folder / "musubi.db")) as database, database:
                _fill(database, range(held, people))
            held = people
            found[people] = _slow(node.parts.documents, people, size.queries * 50)
    few, many = size.registries[0], size.registries[-1]
    note = ", ".join(f"{people:,} people p99 {seconds * 1e6:,.0f} µs" for people, seconds in found.items())
    yield Figure("FindDocuments, p99 by size", found[many] / found[few], "x", 1.5, note=f"{note}; {DOCUMENTS} entries")


def _fill(database: sqlite3.Connection, people: range) -> None:
    # People register in no order of their numbers, so their documents lie all over the table.
    order = [(person, at) for at in range(DOCUMENTS) for person in people]
    Random(len(order)).shuffle(order)
    (start,) = database.execute("SELECT coalesce(max(n), 0) FROM registry_object").fetchone()
    rows = (
        (n, f"urn:uuid:{person:08x}-{at}", f"1.2.{person}.{at}", f"e{person}", f"2020{at % 12 + 1:02d}01", _XML)
        for n, (person, at) in enumerate(order, start=start + 1)
    )
    database.executemany(_OBJECT, rows)
    database.executemany("INSERT INTO identity VALUES (?, ?, ?)", ((_AUTHORITY, f"{p}", f"e{p}") for p in people))
    records = ((f"p{p}", _AUTHORITY, f"{p}", f"e{p}", _AUTHORITY) for p in people)
    database.executemany("INSERT INTO identity_patient VALUES (?, ?, ?, ?, ?)", records)


def _slow(documents: DocumentTable, people: int, count: int) -> float:
    """Seconds of the 99th percentile; each person is asked about three times and the best counts."""
    wanted = document_query({"$XDSDocumentEntryStatus": (APPROVED,)}, "", 1000)
    spent = []
    for person in Random(people).choices(range(people), k=count):
        best = 10.0
        for _ in range(3):
            begun = perf_counter()
            found = documents.shown(PatientId(f"{person}", _AUTHORITY), wanted, UNRESTRICTED)
            best = min(best, perf_counter() - begun)
            assert found is not None and len(found) == DOCUMENTS
        spent.append(best)
    return sorted(spent)[int(len(spent) * 0.99)]
