"""ITI-30 over a real store: A28, A31, A40, A47, and the option A24, A37."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ihe._v2 import V2Services
from gateway.model.caller import UNRESTRICTED
from gateway.storage.opening import Storage
from tests.oracle_v2 import check_structure
from tests.pix_parts import MEDICAL, OSAKA, TOKYO, adt, ask, feed, field, ids, pid, pix
from tests.v2_parts import ARC, node, rows, send

Node = tuple[V2Services, Storage]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Node]:
    with node(tmp_path, matching={"mode": "off"}) as made:
        yield made


def new(*ids: str, trigger: str = "A28", **more: str) -> bytes:
    return adt(trigger, pid("~".join(ids)), version="2.5", **more)


@pytest.mark.parametrize("trigger", ["A28", "A31"])
def test_created_and_answered(own: Node, trigger: str) -> None:
    services, parts = own
    lines = send(services, new(f"A1^^^{TOKYO}", trigger=trigger, id_="C1"))
    assert field(lines[0], 9) == f"ACK^{trigger}^ACK" and field(lines[0], 12) == "2.5" and lines[1:] == ["MSA|AA|C1"]
    check_structure({"": [lines[0].replace("^ACK|", "^ACK|"), *lines[1:]]}, "ACK")
    assert rows(parts, 'SELECT "transaction", action FROM audit') == [("ITI-30", "C" if trigger == "A28" else "U")]
    assert {"Patient", "Provenance"} <= {one.type for one in parts.resources.export(UNRESTRICTED)}


def test_an_update_replaces_what_was_said(own: Node) -> None:
    services, parts = own
    feed(services, new(f"A1^^^{TOKYO}"))
    changed = adt("A31", pid(f"A1^^^{TOKYO}", "新^姓"), version="2.5", time="20260201000000")
    assert feed(services, changed) == "AA"
    (body,) = rows(parts, "SELECT body FROM resource WHERE type = 'Patient'")
    assert "新 姓" in bytes(body[0]).decode() and "花子" not in bytes(body[0]).decode()


def test_what_comes_late_changes_nothing(own: Node) -> None:
    services, parts = own
    feed(services, adt("A31", pid(f"A1^^^{TOKYO}", "新^姓"), version="2.5", time="20260201000000"))
    feed(services, adt("A31", pid(f"A1^^^{TOKYO}", "旧^姓"), version="2.5", time="20260101000000"))
    (body,) = rows(parts, "SELECT body FROM resource WHERE type = 'Patient'")
    assert "新 姓" in bytes(body[0]).decode()


def test_merge(own: Node) -> None:
    services, _ = own
    feed(services, new(f"A1^^^{TOKYO}", f"M1^^^{MEDICAL}"))
    feed(services, new(f"B1^^^{OSAKA}", f"M1^^^{MEDICAL}"))
    feed(services, new(f"A2^^^{TOKYO}"))
    merge = adt("A40", pid(f"A2^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", version="2.5", time="20260103000000", id_="M")
    lines = send(services, merge)
    assert field(lines[0], 9) == "ACK^A40^ACK" and lines[1] == "MSA|AA|M"
    assert ids(ask(services, pix(f"B1^^^{OSAKA}", TOKYO))) == [f"A2@{ARC}.2"]


def test_a_changed_number_keeps_the_links(own: Node) -> None:
    services, _ = own
    feed(services, new(f"A1^^^{TOKYO}", f"M1^^^{MEDICAL}"))
    feed(services, new(f"B1^^^{OSAKA}", f"M1^^^{MEDICAL}"))
    change = adt("A47", pid(f"A9^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", version="2.5", time="20260103000000")
    assert feed(services, change) == "AA"
    assert ids(ask(services, pix(f"B1^^^{OSAKA}", TOKYO))) == [f"A9@{ARC}.2"]
    assert field(ask(services, pix(f"A1^^^{TOKYO}"))["ERR"][0], 2) == "QPD^1^3^1^1"


def test_link_and_unlink(own: Node) -> None:
    services, parts = own
    feed(services, new(f"A1^^^{TOKYO}"))
    feed(services, new(f"B1^^^{OSAKA}"))
    both = (pid(f"A1^^^{TOKYO}", ""), "PV1||N", pid(f"B1^^^{OSAKA}", ""))
    assert feed(services, adt("A24", *both, version="2.5", time="20260103000000")) == "AA"
    assert ids(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))) == [f"B1@{ARC}.22"]
    assert feed(services, adt("A37", *both, version="2.5", time="20260104000000")) == "AA"
    assert field(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))["QAK"][0], 2) == "NF"
    records = rows(parts, "SELECT action, patient FROM audit WHERE \"transaction\" = 'ITI-30'")
    assert records[-2:] == [("U", f"A1^^^&{ARC}.2&ISO")] * 2


REFUSED = {
    "a link of one": (adt("A24", pid(f"A1^^^{TOKYO}"), version="2.5"), "AE 100 PID^2"),
    "a link to nobody": (adt("A24", pid(f"A1^^^{TOKYO}"), pid(f"B9^^^{OSAKA}"), version="2.5"), "AE 204 PID^2^3^1^1"),
    "a link to an unknown domain": (
        adt("A24", pid(f"A1^^^{TOKYO}"), pid("B9^^^X"), version="2.5"),
        "AE 204 PID^2^3^1^4",
    ),
    "no authority": (new("A1"), "AE 204 PID^1^3^1^4"),
    "the second of two unknown": (new(f"A1^^^{TOKYO}", "X^^^NOBODY"), "AE 204 PID^1^3^2^4"),
    "no name": (adt("A28", pid(f"A1^^^{TOKYO}", ""), version="2.5"), "AE 101 PID^1^5"),
    "a merge of nobody": (adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|A9^^^{TOKYO}", version="2.5"), "AE 204 MRG^1^1^1^1"),
    "a merge across domains": (
        adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|B1^^^{OSAKA}", version="2.5"),
        "AE 204 MRG^1^1^1^4",
    ),
    "a merge into itself": (adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", version="2.5"), "AE 102 MRG^1^1"),
    "a change of a number nobody has": (
        adt("A47", pid(f"A2^^^{TOKYO}"), f"MRG|A9^^^{TOKYO}", version="2.5"),
        "AE 204 MRG^1^1^1^1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_where(own: Node, name: str) -> None:
    services, _ = own
    if "A1" not in name:
        feed(services, new(f"A1^^^{TOKYO}", id_="first"))
    message, expected = REFUSED[name]
    assert feed(services, message) == expected
