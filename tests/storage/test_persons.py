"""No question about persons walks a table; and a thread's connection is its own."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.identity import PatientId
from gateway.model.person import PersonQuery
from gateway.storage.engines import Lookups
from tests.services.persons.parts import SATO, A, B, World, a, b, med, world
from tests.storage.making import DOMAIN

pytestmark = pytest.mark.usefixtures("each_engine")

QUESTIONS: dict[str, dict[str, Any]] = {
    "family": {"family": ("佐藤",)},
    "family and birth": {"family": ("佐藤",), "birth_date": "19800502"},
    "prefix and birth": {"family": ("佐*",), "birth_date": "19800502"},
    "prefix": {"name": ("佐*",)},
    "birth range": {"birth_range": ("1980", "1981")},
    "id": {"ids": (PatientId("1", A),)},
    "domain": {"ids": (PatientId("", A),)},
    "telephone and sex": {"telecom": "0312345678", "sex": "F"},
    "address": {"address": "東京*"},
}


def _asked(w: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[object]]]:
    asked: list[tuple[str, Sequence[object]]] = []
    real = Lookups.rows

    def rows(self: Lookups, sql: str, values: Sequence[object] = ()) -> list[Any]:
        asked.append((sql, values))
        return real(self, sql, values)

    monkeypatch.setattr(Lookups, "rows", rows)
    return asked


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)  # the plan is in its words
def test_no_search_walks_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), med("M1"), known=SATO)
        asked = _asked(w, monkeypatch)
        w.persons.search(PersonQuery(**QUESTIONS[question]), UNRESTRICTED)
        monkeypatch.undo()
        _no_scan(w, asked)


@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)  # the plan is in its words
def test_nor_does_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "auto") as w:
        fed = w.feed("add", a("1"), med("M1"), known=SATO)
        asked = _asked(w, monkeypatch)
        for scope in (UNRESTRICTED, Scope(frozenset([fed.enterprise_id]), None, frozenset({B}))):
            w.persons.cross_reference(a("1"), (DOMAIN, B), scope)
            w.persons.record(a("1"), scope)
            w.persons.match(SATO, (a("1"),), scope)
            w.desk.history(a("1"), scope)
            w.desk.reviews(0, 10, "open", scope)
        w.persons.index.open_pairs(a("1"))
        monkeypatch.undo()
        _no_scan(w, asked)


def _no_scan(w: World, asked: list[tuple[str, Sequence[object]]]) -> None:
    assert asked
    for sql, values in asked:
        for *_, step in w.storage.lookups.rows(f"EXPLAIN QUERY PLAN {sql}", values):
            walks = step.startswith("SCAN") and "json_each" not in step and "ix_person_pair_open" not in step
            assert not walks, (step, sql)


def test_threads_ask_on_connections_of_their_own(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.feed("add", a("1"), med("M1"))
        w.feed("add", b("9"), med("M1"))
        found: list[list[str]] = []
        threads = [threading.Thread(target=lambda: found.append(w.xref(a("1"), B))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [["9@22"]] * 40
