"""ITI-64: taken as a registry (the number and its documents move), sent as a PIX manager (each number that moved)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import app
from gateway.ihe._v2 import V2Services
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.storage.opening import Storage
from tests.ihe.test_iti10 import ack, consumer
from tests.pix_parts import MEDICAL, OSAKA, REGION, TOKYO, UTF_8, adt, ask, feed, field, head, ids, pid, pix
from tests.v2_parts import ARC, NOW, node, rows, settings

Node = tuple[V2Services, Storage]


def a43(pid3: str, mrg: str, id_: str = "L1", time: str = "20260105090000") -> bytes:
    """As the XPID supplement has it: PID-3 the new XAD-PID and the numbers that move, MRG-1 the old XAD-PID."""
    lines = [
        head("ADT^A43^ADT_A43", id_, "2.5", time, UTF_8),
        f"EVN|A43|{time}",
        f"PID|||{pid3}|| ",
        *([mrg] if mrg else []),
    ]
    return ("\r".join(lines) + "\r").encode()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Node]:
    """XAD-PIDs from outside: X1 with A1 and B1, X2 with A2."""
    with node(tmp_path, matching={"mode": "off"}) as made:
        for one in (f"X1^^^{REGION}", f"X2^^^{REGION}", f"A1^^^{TOKYO}", f"B1^^^{OSAKA}", f"A2^^^{TOKYO}"):
            assert feed(made[0], adt("A04", pid(one))) == "AA"
        for xad, number in (("X1", f"A1^^^{TOKYO}"), ("X1", f"B1^^^{OSAKA}"), ("X2", f"A2^^^{TOKYO}")):
            assert feed(made[0], adt("A24", pid(f"{xad}^^^{REGION}"), pid(number), version="2.5")) == "AA"
        yield made


def xad(services: V2Services, number: str) -> list[str]:
    """The XAD-PIDs of a number that came from outside."""
    found = ids(ask(services, pix(number, REGION)))
    return sorted(one.split("@")[0] for one in found if one.startswith("X"))


def test_a_number_moves_to_another_xad_pid_and_its_documents_follow(own: Node) -> None:
    services, parts = own
    assert xad(services, f"A1^^^{TOKYO}") == ["X1"] == xad(services, f"B1^^^{OSAKA}")
    assert feed(services, a43(f"X2^^^{REGION}~A1^^^{TOKYO}", f"MRG|X1^^^{REGION}")) == "AA"
    assert xad(services, f"A1^^^{TOKYO}") == ["X2"] and xad(services, f"B1^^^{OSAKA}") == ["X1"]
    person = parts.identities.enterprise_id(PatientId("X2", f"{ARC}.1.1"), UNRESTRICTED)
    documents = rows(parts, "SELECT DISTINCT d.eid FROM registry_object d JOIN identity_patient i ON i.patient = d.patient WHERE i.value = 'A1'")  # fmt: skip
    assert documents == [(person,)]
    assert rows(parts, "SELECT event, \"transaction\", action FROM audit WHERE \"transaction\" = 'ITI-64'") == [("110110", "ITI-64", "U")]  # fmt: skip


def test_without_a_number_everything_of_the_old_one_moves(own: Node) -> None:
    services, _ = own
    assert feed(services, a43(f"X2^^^{REGION}", f"MRG|X1^^^{REGION}")) == "AA"
    assert "X2" in xad(services, f"A1^^^{TOKYO}") and "X2" in xad(services, f"B1^^^{OSAKA}")


def test_an_enterprise_id_of_ours_stands_for_the_records_of_its_person(own: Node) -> None:
    services, parts = own
    old, new = (parts.identities.enterprise_id(PatientId(value, f"{ARC}.1.1"), UNRESTRICTED) for value in ("X1", "X2"))
    assert feed(services, a43(f"{new}^^^{REGION}~A1^^^{TOKYO}", f"MRG|{old}^^^{REGION}")) == "AA"
    assert xad(services, f"A1^^^{TOKYO}") == ["X2"] and xad(services, f"B1^^^{OSAKA}") == ["X1"]


REFUSED = {
    "no MRG": (a43(f"X2^^^{REGION}~A1^^^{TOKYO}", ""), "AE 101 MRG^1^1"),
    "no new XAD-PID": (a43(f"A1^^^{TOKYO}", f"MRG|X1^^^{REGION}"), "AE 204 PID^1^3^1^4"),
    "old one of a hospital": (a43(f"X2^^^{REGION}", f"MRG|A1^^^{TOKYO}"), "AE 204 MRG^1^1^1^4"),
    "the same twice": (a43(f"X1^^^{REGION}~A1^^^{TOKYO}", f"MRG|X1^^^{REGION}"), "AE 102 MRG^1^1"),
    "unknown new": (a43(f"X9^^^{REGION}~A1^^^{TOKYO}", f"MRG|X1^^^{REGION}"), "AE 204 PID^1^3^1^1"),
    "unknown old": (a43(f"X2^^^{REGION}~A1^^^{TOKYO}", f"MRG|X9^^^{REGION}"), "AE 204 MRG^1^1^1^1"),
    "unknown number": (a43(f"X2^^^{REGION}~A9^^^{TOKYO}", f"MRG|X1^^^{REGION}"), "AE 204 PID^1^3^2^1"),
    "unknown authority": (a43(f"X2^^^{REGION}~A9^^^&1.2.3&ISO", f"MRG|X1^^^{REGION}"), "AE 204 PID^1^3^2^4"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_moves_nothing(own: Node, name: str) -> None:
    services, _ = own
    message, said = REFUSED[name]
    assert feed(services, message) == said
    assert xad(services, f"A1^^^{TOKYO}") == ["X1"]


def test_a_registry_is_told_of_each_number_that_moved(tmp_path: Path) -> None:
    clock = Clock(lambda: NOW)
    with consumer(ack("AA")) as (port, got):
        notify = [{"name": "registry", "host": "127.0.0.1", "port": port, "registry": True, "application": "REG"}]
        chosen = settings(tmp_path, notify=notify, matching={"mode": "off"})
        with app.storage(chosen, clock) as parts:
            one = app.Node(chosen, parts, clock)
            services, registries = one.v2(), one.notifiers()[1]
            for number in (f"A1^^^{TOKYO}", f"B1^^^{OSAKA}"):
                assert feed(services, adt("A04", pid(number))) == "AA"
            assert registries.run_once() is False and not got
            before = {value: parts.identities.enterprise_id(PatientId(value, oid), UNRESTRICTED) for value, oid in (("A1", f"{ARC}.2"), ("B1", f"{ARC}.22"))}  # fmt: skip
            link = adt("A24", pid(f"A1^^^{TOKYO}"), pid(f"B1^^^{OSAKA}"), version="2.5")
            assert feed(services, link) == "AA"
            assert registries.run_once() is True and registries.run_once() is False
            (sent,) = got
            msh, _, told, mrg = sent.rstrip("\r").split("\r")
            assert (field(msh, 9), field(msh, 12), field(msh, 5)) == ("ADT^A43^ADT_A43", "2.5", "REG")
            new, moved = field(told, 3).split("~")
            value = moved.split("^")[0]
            now = min(str(one) for one in before.values())
            assert new == f"{now}^^^{REGION}" and before[value] != now
            assert field(mrg, 1) == f"{before[value]}^^^{REGION}"
            assert feed(services, sent.encode()) == "AE 204 MRG^1^1^1^1", "our own registry has moved it already"
            audited = rows(parts, "SELECT event, action, outcome FROM audit WHERE \"transaction\" = 'ITI-64' AND action = 'R'")  # fmt: skip
            assert audited == [("110110", "R", 0)]


def test_the_first_link_of_a_new_number_is_no_news_to_a_registry(tmp_path: Path) -> None:
    """Whose enterprise id stays depends on the ids; that of the one who was there first may change, and is told."""
    moved = set()
    for folder, numbers in (("one", (f"B1^^^{OSAKA}", f"A1^^^{TOKYO}")), ("other", (f"A1^^^{TOKYO}", f"B1^^^{OSAKA}"))):
        with node(tmp_path / folder, matching={"mode": "off"}) as (services, parts):
            for number in numbers:
                assert feed(services, adt("A04", pid(f"{number}~777^^^{MEDICAL}"))) == "AA"
            assert ids(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))) == [f"B1@{ARC}.22"]
            told = rows(parts, "SELECT payload FROM outbox WHERE kind = 'xad-pid-changed'")
            moved.add((folder, *(value for (payload,) in told for value, *_ in json.loads(payload)["moved"])))
    assert moved == {("one", "B1"), ("other",)}
