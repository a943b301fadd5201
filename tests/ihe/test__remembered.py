"""What outlives a restart: pointers of ITI-21, questions of ITI-47, correlations of XCPD; and for how long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.ihe._held import Held, Holding, Remembered
from gateway.ihe._remembered import CONTINUATION, CORRELATIONS, QUERY
from gateway.ihe._v3 import Continuation, Correlation
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.model.person import PersonQuery
from gateway.translate.person_query_v3 import Criteria
from tests.pix_parts import TOKYO, adt, ask, feed, field, pdq, pid
from tests.storage.making import storage
from tests.v2_parts import node

ASKED = PersonQuery(
    ids=(PatientId("1", "9.1"), PatientId("", "9.2")),
    family=("見本", "ミホン*"),
    birth_range=("1970", ""),
    active=True,
    domains=("9.1",),
    limit=2,
    offset=4,
)
GOING_ON = Continuation(
    Criteria((ASKED, PersonQuery(sex="F")), (frozenset({PatientId("2", "9.3")}),)), 10, 20, 50, "<queryByParameter/>"
)
TOLD = (Correlation("urn:oid:9.9", PatientId("7", "9.8")), Correlation("urn:oid:9.7", PatientId("8", "9.6")))


@pytest.mark.parametrize(
    ("forms", "value"),
    [(QUERY, ASKED), (QUERY, PersonQuery()), (CONTINUATION, GOING_ON), (CORRELATIONS, TOLD), (CORRELATIONS, ())],
)
def test_every_value_comes_back_as_it_was(forms: object, value: object) -> None:
    write, read = forms  # type: ignore[misc, attr-defined]
    assert read(write(value)) == value


class Time:
    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, tzinfo=UTC)


def remembered(store: object, time: Time, most: int = 1000) -> Holding[PersonQuery]:
    clock = Clock(now=lambda: time.now)
    return Remembered(store.memory, clock, "t", QUERY, most, 60)  # type: ignore[attr-defined]


def test_it_is_there_after_a_restart_and_gone_after_its_time(tmp_path: Path) -> None:
    time = Time()
    with storage(tmp_path) as store:
        remembered(store, time).put(("me", "A"), ASKED)
    with storage(tmp_path) as store:
        known = remembered(store, time)
        assert known.get(("me", "A")) == ASKED and known.get(("me", "B")) is None and known.get("me") is None
        time.now += timedelta(seconds=61)
        assert known.get(("me", "A")) is None
        store.memory.sweep(time.now.isoformat())
        time.now -= timedelta(seconds=61)
        assert known.get(("me", "A")) is None, "removed, not only hidden"


@pytest.mark.parametrize("kind", ["held", "remembered"])
def test_all_that_begins_alike_is_dropped(tmp_path: Path, kind: str) -> None:
    with storage(tmp_path) as store:
        known: Holding[PersonQuery] = Held(lambda: 0.0) if kind == "held" else remembered(store, Time())
        for key in (("me", "A"), ("me", "B"), ("me2", "A"), ('me","B', "A")):
            known.put(key, ASKED)
        assert known.drop(("me",)) and not known.drop(("me",))
        assert known.get(("me", "A")) is None and known.get(("me2", "A")) == ASKED == known.get(('me","B', "A"))


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    time = Time()
    with storage(tmp_path) as store:
        known = remembered(store, time, most=10)
        for number in range(129):
            time.now += timedelta(milliseconds=1)
            known.put(str(number), ASKED)
        assert known.get("128") == ASKED and known.get("0") is None and known.get("100") is None


def test_what_another_version_wrote_is_forgotten(tmp_path: Path) -> None:
    time = Time()
    with storage(tmp_path) as store:
        until = (time.now + timedelta(seconds=9)).isoformat()
        store.memory.put("t", ("x",), '["no query"]', time.now.isoformat(), until, 10)
        assert remembered(store, time).get("x") is None


def test_a_demographics_query_goes_on_after_a_restart(tmp_path: Path) -> None:
    with node(tmp_path, matching={"mode": "off"}) as (services, _):
        for number in range(3):
            feed(services, adt("A04", pid(f"A{number}^^^{TOKYO}")))
        first = ask(services, pdq("@PID.5.1.1^見本", rcp="I|2^RD"))
        pointer = field(first["DSC"][0], 1)
    with node(tmp_path, matching={"mode": "off"}) as (services, _):
        rest = ask(services, pdq("@PID.5.1.1^見本", rcp="I|2^RD", pointer=pointer))
        assert field(rest["QAK"][0], 2) == "OK" and len(rest["PID"]) == 1
        wrong = ask(services, pdq("@PID.5.1.1^見本", rcp="I|2^RD", pointer=pointer, tag="OTHER"))
        assert field(wrong["QAK"][0], 2) == "AE" and field(wrong["ERR"][0], 2) == "DSC^1^1"
