"""SearchPlan -> SQL: what is found, in which order, by which index, and what a scope hides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, event, insert, update

from gateway.errors import TooManyResults
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.resource import SearchPage
from gateway.services.search import SearchRules, index, plan
from gateway.storage import search
from gateway.storage.engines import open_engine
from gateway.storage.schema import (
    identity,
    identity_patient,
    metadata,
    resource,
    resource_reference,
    resource_string,
    resource_token,
)
from tests.storage.making import database_url

RULES = SearchRules(base="http://localhost/fhir", affinity_domain="1.2.3")
SYSTEM = "http://codes"


@pytest.fixture
def db(each_engine: str, tmp_path: Path) -> Iterator[Connection]:
    if each_engine == "sqlite":
        engine = open_engine("sqlite://")
        metadata.create_all(engine)
    else:
        engine = open_engine(database_url(tmp_path))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def add(db: Connection, *resources: dict[str, Any], eid: str = "", facility: str = "f1") -> None:
    """Rows as ingest writes them."""
    for one in resources:
        found = index({"meta": {}, **one}, rank=0)
        row = {
            "type": found.type,
            "rid": found.id,
            "version": 1,
            "last_updated": "2026-01-02T03:04:05.678Z",
            "body": found.body,
            "patient": found.patient,
            "eid": eid or (f"e-{found.patient}" if found.patient else ""),
            "facility": facility,
            "status": found.status,
            "date_start": found.date_start,
            "date_end": found.date_end,
        }
        (n,) = db.execute(insert(resource).values(row)).inserted_primary_key  # type: ignore[misc]
        base = {"n": n, "type": found.type}
        token = {**base, "patient": found.patient, "date_start": found.date_start}
        for table, rows in (
            (resource_token, [{**token, **one._asdict()} for one in found.tokens]),
            (resource_string, [{**base, "param": name, "value": text} for name, text in found.strings]),
            (resource_reference, [{**base, "param": name, "target": to} for name, to in found.references]),
        ):
            if rows:
                db.execute(insert(table), rows)


def observation(
    id_: str, patient: str = "p1", code: str = "Na", date: str = "2024-05-01", **more: Any
) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": SYSTEM, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": date,
        **more,
    }


def run(db: Connection, type_: str, *parameters: tuple[str, str], scope: Scope = UNRESTRICTED) -> SearchPage:
    return search.run(db, plan(type_, parameters, rules=RULES, cursor_key=b"k").plan, scope)


def ids(db: Connection, type_: str, *parameters: tuple[str, str], scope: Scope = UNRESTRICTED) -> list[str]:
    page = run(db, type_, *parameters, scope=scope)
    assert page.total == len(page.rows)
    return [row.id for row in page.rows]


def test_patient_code_and_date_together(db: Connection) -> None:
    add(db, observation("a"), observation("b", date="2024-06-01"), observation("c", code="K"), observation("d", "p2"))
    assert ids(db, "Observation", ("patient", "p1"), ("code", f"{SYSTEM}|Na"), ("date", "ge2024-05-15")) == ["b"]
    assert ids(db, "Observation", ("patient", "p1"), ("code", "Na,K")) == ["b", "c", "a"]
    assert ids(db, "Observation", ("patient", "p1"), ("code", "other|Na")) == []
    assert ids(db, "Observation", ("patient", "p1,p2"), ("date", "2024-05")) == ["d", "c", "a"]
    assert ids(db, "Observation", ("patient", "p1"), ("patient", "p2")) == []


def test_a_row_that_matches_twice_comes_once(db: Connection) -> None:
    two = {"coding": [{"system": SYSTEM, "code": "Na"}, {"system": "local", "code": "Na"}]}
    add(db, observation("a", code="x") | {"code": two})
    assert ids(db, "Observation", ("code", "Na")) == ["a"]


def test_negation_missing_and_status(db: Connection) -> None:
    add(db, observation("a"), observation("b", code="K"), observation("c") | {"status": "amended"})
    without = observation("d")
    del without["code"], without["status"]
    add(db, without)
    assert sorted(ids(db, "Observation", ("code:not", "Na"))) == ["b", "d"]
    assert ids(db, "Observation", ("code:missing", "true")) == ["d"]
    assert sorted(ids(db, "Observation", ("code:missing", "false"))) == ["a", "b", "c"]
    assert ids(db, "Observation", ("status", "amended")) == ["c"]
    assert sorted(ids(db, "Observation", ("status:not", "amended"))) == ["a", "b", "d"]
    assert ids(db, "Observation", ("status:missing", "true")) == ["d"]
    assert ids(db, "Observation", ("status", "http://other|final")) == []
    assert len(ids(db, "Observation", ("status:not", "http://other|final"))) == 4
    assert sorted(ids(db, "Observation", ("code", f"{SYSTEM}|"))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2024-05-01", "day"),
        ("2024-05", "day noon"),
        ("2024-05-01T12:00:00", "noon"),
        ("ne2024-05-01", "month noon"),
        ("gt2024-05-01", "month"),
        ("lt2024-05-01", ""),
        ("ge2024-05-01", "month day noon"),
        ("le2024-05-01", "day noon"),
        ("sa2024-04", "month day noon"),
        ("eb2024-06", "month day noon"),
        ("sa2024-05-01", ""),
        ("ap2024-04-30", "month day noon"),
        ("ap2024-04-28", ""),
        ("2023,2024-05-01T12:00:00", "noon"),
    ],
)
def test_date_prefixes(db: Connection, asked: str, found: str) -> None:
    """`month` covers May, `day` its first day, `noon` one second of it (FHIR R4 3.1.1.4.5)."""
    add(
        db,
        observation("month", date="2024-05"),
        observation("day"),
        observation("noon", date="2024-05-01T12:00:00+09:00"),
    )
    expected = {"2024-05": {"month", "day", "noon"}, "2024-05-01": {"day", "noon"}, "ne2024-05-01": {"month"}}
    wanted = expected.get(asked, set(found.split()))
    for also in ((), (("patient", "p1"),), (("patient", "p1"), ("code", "Na"))):
        assert set(ids(db, "Observation", ("date", asked), *also)) == wanted


def test_other_dates_and_last_updated(db: Connection) -> None:
    report = {"resourceType": "DiagnosticReport", "id": "r", "issued": "2024-05-01T10:00:00+09:00"}
    add(db, report)
    assert ids(db, "DiagnosticReport", ("issued", "2024-05-01")) == ["r"]
    assert ids(db, "DiagnosticReport", ("issued", "gt2024-05-01")) == []
    assert ids(db, "DiagnosticReport", ("date", "ge1900")) == []
    assert ids(db, "DiagnosticReport", ("date", "ne2024")) == []
    for asked, hit in {"2026-01-02": True, "gt2026-01-02": False, "le2026-01-02": True, "sa2026": False}.items():
        assert bool(ids(db, "DiagnosticReport", ("_lastUpdated", asked))) is hit, asked


def test_names(db: Connection) -> None:
    add(
        db,
        {"resourceType": "Patient", "id": "p1", "name": [{"family": "山田", "given": ["花子"]}, {"family": "ﾔﾏﾀﾞ"}]},
        {"resourceType": "Patient", "id": "p2", "name": [{"family": "髙山"}]},
        {"resourceType": "Patient", "id": "p3", "name": [{"family": "50%_off"}]},
    )
    assert ids(db, "Patient", ("name", "やま")) == ["p1"]
    assert ids(db, "Patient", ("family", "高")) == ["p2"]
    assert sorted(ids(db, "Patient", ("name:contains", "山"))) == ["p1", "p2"]
    assert ids(db, "Patient", ("family:exact", "ﾔﾏﾀﾞ")) == ["p1"]
    assert ids(db, "Patient", ("family:exact", "ヤマダ")) == []
    assert ids(db, "Patient", ("name:contains", "%_")) == ["p3"]
    assert ids(db, "Patient", ("name:contains", "0_o")) == []
    assert ids(db, "Patient", ("family", "山田,髙山")) in (["p1", "p2"], ["p2", "p1"])
    assert ids(db, "Patient", ("family", "山田"), ("given", "太郎")) == []


def test_references_and_ids(db: Connection) -> None:
    add(db, observation("a", specimen={"reference": "Specimen/s1"}), observation("b"))
    assert ids(db, "Observation", ("specimen", "Specimen/s1")) == ["a"]
    assert ids(db, "Observation", ("specimen", "s1"), ("patient", "p1")) == ["a"]
    assert ids(db, "Observation", ("specimen", "s1"), ("patient", "p2")) == []
    assert ids(db, "Observation", ("_id", "b,zzz")) == ["b"]
    assert ids(db, "Observation", ("_id", "b"), ("specimen", "s1")) == []


def test_a_person_by_any_identifier(db: Connection) -> None:
    """Two hospitals' Patients are one person: either number, the enterprise id and an id only the index knows, find both."""
    for n in "12":
        number = {"identifier": [{"system": f"urn:oid:1.{n}", "value": f"no{n}"}]}
        add(db, {"resourceType": "Patient", "id": f"p{n}", **number}, observation(f"o{n}", f"p{n}"), eid="E")
        row = {"patient": f"p{n}", "authority": f"1.{n}", "value": f"no{n}", "eid": "E", "facility": f"f{n}"}
        db.execute(insert(identity_patient).values(row))
    add(db, {"resourceType": "Patient", "id": "p3"}, observation("o3", "p3"))
    db.execute(insert(identity).values(authority="1.9", value="medical", eid="E"))
    for asked in ("urn:oid:1.1|no1", "urn:oid:1.2|no2", "urn:oid:1.9|medical", "urn:oid:1.2.3|E"):
        assert sorted(ids(db, "Observation", ("patient.identifier", asked))) == ["o1", "o2"], asked
        assert ids(db, "Observation", ("patient.identifier", asked), ("code", "Na"), ("patient", "p2")) == ["o2"]
    for asked in ("urn:oid:1.1|no2", "urn:oid:1.2.4|E", "http://x|medical"):
        assert ids(db, "Observation", ("patient.identifier", asked)) == []


def test_deleted_resources_are_not_found(db: Connection) -> None:
    add(db, observation("a"), observation("b"))
    db.execute(update(resource).where(resource.c.rid == "a").values(deleted=1, body=None))
    assert ids(db, "Observation") == ["b"]
    assert ids(db, "Observation", ("code", "Na")) == ["b"]


SCOPES = [
    (Scope(frozenset({"e-p1"}), None), {"a", "b"}),
    (Scope(frozenset(), None), set()),
    (Scope(None, None, frozenset({"f2"})), {"a", "c"}),
    (Scope(frozenset({"e-p1"}), None, frozenset({"f2"})), {"a"}),
    (Scope(None, frozenset({"N"})), {"a", "b", "c"}),
    (Scope(None, frozenset({"R"})), set()),
]


@pytest.mark.parametrize(("scope", "visible"), SCOPES)
def test_a_scope_holds_for_rows_totals_counts_and_includes(db: Connection, scope: Scope, visible: set[str]) -> None:
    add(db, observation("a"), observation("c", "p2"))
    add(db, observation("b"), facility="f2")
    add(db, {"resourceType": "Patient", "id": "p1"}, facility="f2")
    for asked in ((), (("code", "Na"),), (("patient", "p1,p2"),), (("date", "2024"),)):
        assert set(ids(db, "Observation", *asked, scope=scope)) == visible
        assert run(db, "Observation", ("_summary", "count"), *asked, scope=scope).total == len(visible)
    included = run(db, "Observation", ("_include", "Observation:patient"), scope=scope).included
    assert all("f2" not in scope.excluded_facilities for _ in included)


def test_pages_by_key(db: Connection) -> None:
    """Each resource once, although others arrive (newer, older, of the same day) between the pages."""
    add(db, *(observation(f"o{at:02d}", date=f"2024-05-{1 + at % 5:02d}") for at in range(23)))
    expected = ids(db, "Observation")
    first = plan("Observation", [("_count", "5")], rules=RULES, cursor_key=b"k").plan
    seen: list[str] = []
    page, turn = search.run(db, first, UNRESTRICTED), 0
    while True:
        seen += [row.id for row in page.rows]
        if not page.next_after:
            break
        assert len(page.rows) == 5
        turn += 1
        add(db, *(observation(f"new{turn}-{date}", date=date) for date in ("2024-01-01", "2024-05-03", "2025-01-01")))
        after = SearchPlanWith(first, page.next_after)
        page = search.run(db, after, UNRESTRICTED)
    assert len(seen) == len(set(seen))
    assert [one for one in seen if one.startswith("o")] == expected


def SearchPlanWith(before: Any, after: tuple[str | int, ...]) -> Any:
    return type(before)(**{name: getattr(before, name) for name in before.__slots__} | {"after": after})


@given(dates=st.lists(st.sampled_from(["2024-05-01", "2024-05", "2023", ""]), max_size=12), size=st.integers(1, 5), sort=st.sampled_from(["date", "-date", "_lastUpdated", "-_lastUpdated"]))  # fmt: skip
def test_any_order_pages_to_the_whole(dates: list[str], size: int, sort: str) -> None:
    engine = open_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as db:
        for at, date in enumerate(dates):
            one = observation(f"o{at}", date=date)
            if not date:
                del one["effectiveDateTime"]
            add(db, one)
        whole = ids(db, "Observation", ("_sort", sort))
        asked = plan("Observation", [("_count", str(size)), ("_sort", sort)], rules=RULES, cursor_key=b"k").plan
        seen: list[str] = []
        while True:
            page = search.run(db, asked, UNRESTRICTED)
            assert page.total == len(dates)
            seen += [row.id for row in page.rows]
            if not page.next_after:
                break
            asked = SearchPlanWith(asked, page.next_after)
        assert seen == whole and len(seen) == len(dates)
    engine.dispose()


def test_default_order_is_newest_first(db: Connection) -> None:
    undated = observation("none")
    del undated["effectiveDateTime"]
    add(db, observation("old", date="2020"), undated, observation("new", date="2025"), observation("mid"))
    assert ids(db, "Observation") == ["new", "mid", "old", "none"]
    assert ids(db, "Observation", ("_sort", "date")) == ["none", "old", "mid", "new"]
    add(db, {"resourceType": "Organization", "id": "z"}, {"resourceType": "Organization", "id": "y"})
    assert ids(db, "Organization") == ["z", "y"]


def test_totals_may_be_left_out(db: Connection) -> None:
    add(db, observation("a"))
    add(db, observation("b"))
    assert run(db, "Observation", ("_total", "none"), ("_count", "1")).total == -1
    assert run(db, "Observation", ("_total", "none")).total == -1
    only = run(db, "Observation", ("_count", "0"))
    assert (only.total, only.rows) == (2, ())


def test_includes(db: Connection) -> None:
    specimen = {"resourceType": "Specimen", "id": "s1", "subject": {"reference": "Patient/p1"}}
    provenance = {"resourceType": "Provenance", "id": "v1", "target": [{"reference": "Observation/a"}]}
    add(
        db,
        observation("a", specimen={"reference": "Specimen/s1"}),
        observation("b", specimen={"reference": "Specimen/s1"}),
    )
    add(db, specimen, provenance, {"resourceType": "Patient", "id": "p1"})

    def brought(*parameters: tuple[str, str], type_: str = "Observation") -> list[str]:
        return [one.id for one in run(db, type_, *parameters).included]

    assert brought() == []
    assert brought(("_include", "Observation:specimen")) == ["s1"]
    assert brought(("_include", "Observation:specimen:Patient")) == []
    assert brought(("_include", "Observation:subject"), ("_include", "Observation:specimen")) == ["s1", "p1"]
    assert brought(("_revinclude", "Provenance:target")) == ["v1"]
    assert brought(("_id", "b"), ("_revinclude", "Provenance:target")) == []
    assert brought(("_revinclude", "Observation:patient"), ("_revinclude", "Specimen:patient"), type_="Patient") == [
        "a",
        "b",
        "s1",
    ]


def test_an_include_that_brings_too_much_says_so(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_INCLUDED", 2)
    add(db, {"resourceType": "Patient", "id": "p1"}, observation("a"), observation("b"))
    assert len(run(db, "Patient", ("_revinclude", "Observation:patient")).included) == 2
    add(db, observation("c"))
    with pytest.raises(TooManyResults):
        run(db, "Patient", ("_revinclude", "Observation:patient"))


def test_version_and_time_are_put_into_meta(db: Connection) -> None:
    add(db, observation("a"), observation("b") | {"meta": {"profile": ["x"]}})
    bodies = {row.id: row.body for row in run(db, "Observation").rows}
    put = b'"meta":{"versionId":"1","lastUpdated":"2026-01-02T03:04:05.678Z"'
    assert bodies["a"].startswith(b'{"resourceType":"Observation","id":"a",' + put + b"},")
    assert bodies["b"].startswith(b'{"resourceType":"Observation","id":"b",' + put + b',"profile":["x"]},')
    with pytest.raises(ValueError, match="meta"):
        search.splice(b'{"resourceType":"A","id":"b"}', "A", "b", 1, "x")


@pytest.mark.parametrize(
    ("parameters", "through"),
    [
        (
            (("patient", "p1"), ("code", "Na"), ("date", "ge2024"), ("date", "lt2025")),
            "resource_token USING COVERING INDEX",
        ),
        ((("patient", "p1"),), "resource USING INDEX ix_resource_patient_type_date_start (patient=? AND type=?)"),
        ((("patient", "p1"), ("date", "2024")), "(patient=? AND type=? AND date_start>? AND date_start<?)"),
        ((("patient", "p1,p2"), ("date", "2024")), "(patient=? AND type=? AND date_start>? AND date_start<?)"),
        ((("patient", "p1"), ("performer", "Organization/o")), "ix_resource_patient_type_date_start"),
        ((("code", "Na"), ("status", "final")), "resource_token USING COVERING INDEX"),
        ((("specimen", "Specimen/s"),), "resource_reference USING COVERING INDEX"),
        ((("patient", "p1"), ("category", "lab"), ("value-string", "x")), "resource_token USING COVERING INDEX"),
        ((("_id", "a"),), "(type=? AND rid=?)"),
        ((("date", "2024"),), "ix_resource_type_date_start (type=? AND date_start>? AND date_start<?)"),
        ((("_sort", "-_lastUpdated"),), "ix_resource_type_last_updated (type=?)"),
    ],
)
@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)  # the plan is in its words
def test_searches_go_through_an_index(db: Connection, parameters: tuple[tuple[str, str], ...], through: str) -> None:
    add(db, *(observation(f"o{at}") for at in range(50)))
    statements: list[tuple[str, Any]] = []

    def keep(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: Any) -> None:
        statements.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", keep)
    run(db, "Observation", ("_count", "1"), *parameters)
    event.remove(db.engine, "before_cursor_execute", keep)
    page, *_ = plans = [
        [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        for statement, values in statements
    ]
    assert any(through in step for step in page), page
    assert not [step for steps in plans for step in steps if step.startswith("SCAN")], plans
