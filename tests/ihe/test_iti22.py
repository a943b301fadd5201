"""ITI-22 over a real store: a person with the visits kept here."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.ihe._v2 import V2Services
from gateway.ihe.iti22 import pv1
from tests.pix_parts import TOKYO, adt, ask, feed, field, pdq, pid
from tests.v2_parts import node


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[V2Services]:
    with node(tmp_path_factory.mktemp("node"), matching={"mode": "off"}) as (made, _):
        visit = "PV1||O|06^^^^^C||||1302^模擬^京子^^^^^^^L^^^^^I|||06" + "|" * 34 + "20260102083000"
        ward = "PV1||I|3E^301^2^^^N||||1302^模擬^京子^^^^^^^L^^^^^I|||06" + "|" * 34 + "20260105100000"
        for n, message in enumerate(
            (
                adt("A04", pid(f"A1^^^{TOKYO}"), visit, version="2.5", facility="TOKYO-HP"),
                adt("A01", pid(f"A1^^^{TOKYO}"), ward, version="2.5", facility="TOKYO-HP", time="20260105100000"),
                adt("A28", pid(f"A2^^^{TOKYO}", "見本^太郎", "19840229", "M"), version="2.5"),
            )
        ):
            assert feed(made, message) == "AA", n
        yield made


def visits(found: dict[str, list[str]]) -> list[str]:
    return sorted(f"{field(one, 2)} {field(one, 3)}".strip() for one in found.get("PV1", []))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (("@PID.3.1^A1",), ["I 3E^301^2^^^N", "O 06^^^^^C"]),
        (("@PID.3.1^A1", "@PV1.3.1^3E"), ["I 3E^301^2^^^N"]),
        (("@PID.3.1^A1", "@PV1.2^O"), ["O 06^^^^^C"]),
        (("@PID.3.1^A1", "@PV1.3.1^3*"), ["I 3E^301^2^^^N"]),
        (("@PID.3.1^A1", "@PV1.44.1^20260105"), ["I 3E^301^2^^^N"]),
        (("@PID.3.1^A1", "@PV1.3.1^9Z"), []),
        (("@PID.3.1^A1", "@PV1.19.1^V1"), []),
        (("@PID.5.1.1^見本", "@PV1.2^I"), ["I 3E^301^2^^^N"]),
        (("@PID.3.1^A2",), ["N"]),
        (("@PID.3.1^A2", "@PV1.2^I"), []),
        (("@PID.3.1^A9",), []),
    ],
)
def test_which_visits_are_found(services: V2Services, parameters: tuple[str, ...], expected: list[str]) -> None:
    found = ask(services, pdq(*parameters, event="ZV1"))
    assert visits(found) == expected
    assert field(found["MSH"][0], 9) == "RSP^ZV2^RSP_ZV2"
    assert field(found["QAK"][0], 2) == ("OK" if expected else "NF")
    assert field(found["QAK"][0], 4) == str(len(expected))


def test_a_hit_is_pid_pv1_qri(services: V2Services) -> None:
    found = ask(services, pdq("@PID.3.1^A1", "@PV1.2^I", event="ZV1"))
    assert [line[:3] for line in found[""]] == ["MSH", "MSA", "QAK", "QPD", "PID", "PV1", "QRI"]
    (segment,) = found["PV1"]
    assert field(segment, 7) == "^模擬 京子" and field(segment, 44) == "20260105100000"


def test_pages_of_visits(services: V2Services) -> None:
    first = ask(services, pdq("@PID.3.1^A1", event="ZV1", rcp="I|1^RD"))
    assert first["QAK"][0].split("|")[4:7] == ["2", "1", "1"]
    second = ask(services, pdq("@PID.3.1^A1", event="ZV1", rcp="I|1^RD", pointer=field(first["DSC"][0], 1)))
    assert second["QAK"][0].split("|")[4:7] == ["2", "1", "0"] and "DSC" not in second
    assert visits(first) != visits(second)


def test_a_parameter_of_no_kept_field_is_refused(services: V2Services) -> None:
    found = ask(services, pdq("@PID.3.1^A1", "@PV1.99^x", event="ZV1"))
    assert field(found["MSA"][0], 1) == "AE" and field(found["ERR"][0], 2) == "QPD^1^3^2"


@pytest.mark.parametrize(
    ("encounter", "segment"),
    [
        ({}, "PV1||U"),
        (
            {"class": {"code": "EMER"}, "period": {"start": "2026-01-02", "end": "2026-01-03T10:00:00+09:00"}},
            "PV1||E" + "|" * 42 + "20260102|20260103100000",
        ),
        ({"location": [{"location": {"display": "no place"}}]}, "PV1||U"),
    ],
)
def test_pv1_says_nothing_the_encounter_does_not(encounter: dict[str, Any], segment: str) -> None:
    assert pv1(encounter) == segment
