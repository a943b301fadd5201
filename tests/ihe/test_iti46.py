"""ITI-46: what a consumer is told, valid by the schema, and what its receipt means."""

from typing import Any

import pytest
import requests
from lxml import etree

from gateway.codec.hl7v3 import II, Detail, Head, acknowledgement, message
from gateway.errors import Forbidden, Unavailable
from gateway.ihe import iti46
from gateway.ihe._client import Call
from gateway.model.clock import Clock
from gateway.services.notify import Change
from tests.ihe.peers import MemorySession
from tests.v3_parts import HOME, MEDICAL, OSAKA, TOKYO, ids_of, make_v3_node, path_of, tid, valid
from tests.xds_parts import numbered_uuids

IDS = (tid("T1"), tid("O1", OSAKA), tid("M1", MEDICAL))
PATIENT = "controlActProcess/subject/registrationEvent/subject1/patient"


def told(*domains: str, ids: tuple[Any, ...] = IDS) -> etree._Element:
    found = etree.fromstring(iti46.message(ids, domains, "1.2.3", "1.2.9", II("1.2.3", "m"), "20240101000000"))
    valid(found)
    return found


def test_every_id_in_the_domains_of_the_consumer() -> None:
    patient = told().find(path_of(PATIENT))
    assert patient is not None
    assert ids_of(patient) == [(TOKYO, "T1"), (OSAKA, "O1"), (MEDICAL, "M1")]
    patient = told(OSAKA, TOKYO).find(path_of(PATIENT))
    assert patient is not None
    assert ids_of(patient) == [(TOKYO, "T1"), (OSAKA, "O1")]


def test_no_link_left_is_an_id_without_value() -> None:
    patient = told(ids=()).find(path_of(PATIENT))
    assert patient is not None
    (none,) = patient.findall(path_of("id"))
    assert (none.get("nullFlavor"), none.get("root")) == ("NI", None)


RECEIVER = iti46.Receiver("lab", "http://127.0.0.1/pixv3", "1.2.9", frozenset({TOKYO}), 5)
CHANGE = Change("7", IDS, ())


def receipt(code: str) -> bytes:
    details = () if code == "CA" else (Detail("204", "unknown"),)
    head = Head("MCCI_IN000002UV01", II("1.2", "r"), "20240101", "1.2", II("1.3"))
    return message(head, acknowledgement(code, II("1.2.3", "m"), details))


def deliver(code: str) -> None:
    # Any node will do to carry the message: its answer is replaced.
    session = MemorySession(make_v3_node(), path="/pixv3", instead=receipt(code), action=iti46.ACTION)
    iti46.consumer(RECEIVER, Call(session, Clock(), numbered_uuids()), HOME).send(CHANGE)
    assert session.sent == 1


def test_a_receipt_ends_it_and_a_refusal_is_told() -> None:
    deliver("CA")
    for code in ("CE", "CR", "AE"):
        with pytest.raises(Forbidden):
            deliver(code)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"error": requests.ConnectionError()}, Unavailable),
        ({"error": requests.Timeout()}, TimeoutError),
        ({"status": 503, "headers": {"Content-Type": "text/html"}}, Unavailable),
        ({"status": 404, "headers": {"Content-Type": "text/html"}}, Unavailable),
        ({"path": "/pdqv3"}, Forbidden),
        ({"relates_to": "urn:other"}, Unavailable),
    ],
)
def test_nobody_there_or_not_taken(changes: Any, error: type[Exception]) -> None:
    session = MemorySession(make_v3_node(), **{"path": "/pixv3", **changes})
    with pytest.raises(error):
        iti46.consumer(RECEIVER, Call(session, Clock(), numbered_uuids()), HOME).send(CHANGE)


def test_a_manager_reads_what_we_send_and_knows_it_again() -> None:
    node = make_v3_node()
    consumer = iti46.consumer(RECEIVER, Call(MemorySession(node, path="/pixv3"), Clock(), numbered_uuids()), HOME)
    consumer.send(CHANGE)
    consumer.send(CHANGE)
    one, again = node.persons.fed
    assert (one.kind, one.ids) == ("revise", (tid("T1"),))
    assert one.control_id == again.control_id
    assert (consumer.transaction, consumer.domains) == ("ITI-46", {TOKYO})
