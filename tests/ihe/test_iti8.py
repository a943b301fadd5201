"""ITI-8 over a real store: what is taken, what is refused and where, and what a query sees right after."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.mllp import Block
from gateway.errors import UnknownDocument
from gateway.ihe._v2 import V2Services, answer
from gateway.model.caller import UNRESTRICTED
from gateway.storage.opening import Storage
from tests.pix_parts import MEDICAL, OSAKA, REGION, TOKYO, adt, ask, feed, field, ids, pid, pix
from tests.v2_parts import ARC, LEDGER, node, rows, segments, send

Node = tuple[V2Services, Storage]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Node]:
    with node(tmp_path, matching={"mode": "off"}) as made:
        yield made


def two(services: V2Services) -> None:
    """A1 in Tokyo and B1 in Osaka are one person."""
    assert feed(services, adt("A04", pid(f"A1^^^{TOKYO}~M1^^^{MEDICAL}"))) == "AA"
    assert feed(services, adt("A04", pid(f"B1^^^{OSAKA}~M1^^^{MEDICAL}"))) == "AA"


@pytest.mark.parametrize("trigger", ["A01", "A04", "A05", "A08"])
def test_each_event_registers_and_is_answered_in_its_form(own: Node, trigger: str) -> None:
    services, parts = own
    lines = send(services, adt(trigger, pid(f"A1^^^{TOKYO}"), "PV1||O", id_="C1"))
    assert field(lines[0], 9) == f"ACK^{trigger}" and field(lines[0], 12) == "2.3.1"
    assert (field(lines[0], 3), field(lines[0], 4), field(lines[0], 5), field(lines[0], 6)) == (
        "GW",
        "REGION",
        "SRC",
        "XREF",
    )
    assert lines[1:] == ["MSA|AA|C1"]
    assert field(ask(services, pix(f"A1^^^{TOKYO}", REGION))["QAK"][0], 2) == "OK"
    records = rows(parts, 'SELECT event, "transaction", action, outcome, patient FROM audit ORDER BY n')
    action = "U" if trigger == "A08" else "C"
    assert records[0] == ("110110", "ITI-8", action, 0, f"A1^^^&{ARC}.2&ISO")
    assert len(records) == 2  # the query's, and one for the feed


def test_a_feed_is_also_stored_as_a_message(own: Node) -> None:
    services, parts = own
    feed(services, adt("A04", pid(f"A1^^^{TOKYO}"), "PV1||O"))
    stored = {one.type for one in parts.resources.export(UNRESTRICTED)}
    assert {"Patient", "Provenance"} <= stored
    assert rows(parts, f"SELECT count(*) FROM {LEDGER}") == [(1,)]


def test_links_are_seen_right_after_the_answer(own: Node) -> None:
    services, _ = own
    two(services)
    assert ids(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))) == [f"B1@{ARC}.22"]


def test_a_revision_links_as_a_registration_does(own: Node) -> None:
    services, _ = own
    assert feed(services, adt("A04", pid(f"A1^^^{TOKYO}~M1^^^{MEDICAL}"))) == "AA"
    assert feed(services, adt("A04", pid(f"B1^^^{OSAKA}"))) == "AA"
    assert field(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))["QAK"][0], 2) == "NF"
    assert feed(services, adt("A08", pid(f"B1^^^{OSAKA}~M1^^^{MEDICAL}"))) == "AA"
    assert ids(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))) == [f"B1@{ARC}.22"]


def test_a_merge_moves_the_links_and_retires_the_number(own: Node) -> None:
    services, parts = own
    two(services)
    assert feed(services, adt("A04", pid(f"A2^^^{TOKYO}", "見本^結子", "19800101"))) == "AA"
    lines = send(services, adt("A40", pid(f"A2^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", time="20260103000000", id_="M"))
    assert field(lines[0], 9) == "ACK^A40" and lines[1] == "MSA|AA|M"
    assert ids(ask(services, pix(f"B1^^^{OSAKA}", TOKYO))) == [f"A2@{ARC}.2"]
    retired = ask(services, pix(f"A1^^^{TOKYO}"))
    assert field(retired["ERR"][0], 2) == "QPD^1^3^1^1" and "PID" not in retired
    merges = rows(parts, "SELECT action, patient FROM audit WHERE \"transaction\" = 'ITI-8' ORDER BY n")[-2:]
    assert merges == [("U", f"A2^^^&{ARC}.2&ISO"), ("D", f"A1^^^&{ARC}.2&ISO")]


def test_a_merge_that_is_sent_again_is_no_error(own: Node) -> None:
    services, _ = own
    two(services)
    feed(services, adt("A04", pid(f"A2^^^{TOKYO}")))
    message = adt("A40", pid(f"A2^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", id_="M")
    assert [feed(services, message), feed(services, message)] == ["AA", "AA"]


REFUSED = {
    "more numbers than anybody has": (
        adt("A04", pid("~".join(f"Z{n}^^^{TOKYO}" for n in range(101)))),
        "AE 102 PID^1^3",
    ),
    "no authority": (adt("A04", pid("A1")), "AE 204 PID^1^3"),
    "an OID that is not said to be one": (adt("A04", pid(f"A1^^^&{ARC}.2")), "AE 204 PID^1^3"),
    "an unknown namespace": (adt("A04", pid("A1^^^NOBODY")), "AE 204 PID^1^3"),
    "an unknown OID": (adt("A01", pid("A1^^^&1.2.3.4&ISO")), "AE 204 PID^1^3"),
    "one of two unknown": (adt("A04", pid(f"A1^^^{TOKYO}~X^^^NOBODY")), "AE 204 PID^1^3"),
    "halves that disagree": (adt("A08", pid(f"A1^^^OSAKA-HP&{ARC}.2&ISO")), "AE 204 PID^1^3"),
    "no id": (adt("A04", pid("")), "AE 101 PID^1^3"),
    "no value": (adt("A04", pid(f"^^^{TOKYO}")), "AE 101 PID^1^3"),
    "no PID": (adt("A04", "PV1||O"), "AE 101 PID^1^3"),
    "two PID": (adt("A04", pid(f"A1^^^{TOKYO}"), pid(f"A2^^^{TOKYO}")), "AE 100 PID^2^"),
    "no name": (adt("A04", pid(f"A1^^^{TOKYO}", "")), "AE 101 PID^1^5"),
    "a merge without MRG": (adt("A40", pid(f"A1^^^{TOKYO}")), "AE 101 MRG^1^1"),
    "a merge of nobody": (adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|A9^^^{TOKYO}"), "AE 204 MRG^1^1"),
    "a merge across domains": (adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|B1^^^{OSAKA}"), "AE 204 MRG^1^1"),
    "a merge into itself": (adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}"), "AE 102 MRG^1^1"),
    "a merge without an authority": (adt("A40", pid(f"A1^^^{TOKYO}"), "MRG|A9"), "AE 204 MRG^1^1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_where(own: Node, name: str) -> None:
    services, parts = own
    message, expected = REFUSED[name]
    assert feed(services, message) == expected
    assert rows(parts, "SELECT count(*) FROM resource") == [(0,)]
    ((sha256, outcome),) = rows(parts, f"SELECT sha256, outcome FROM {LEDGER}")
    assert outcome == "rejected" and parts.blobs.open(sha256).read() == message
    assert rows(parts, 'SELECT "transaction", outcome FROM audit') == [("ITI-8", 4)]


def test_a_circular_merge_is_refused(own: Node) -> None:
    services, _ = own
    for one in ("A1", "A2"):
        feed(services, adt("A04", pid(f"{one}^^^{TOKYO}")))
    assert feed(services, adt("A40", pid(f"A2^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", time="20260103000000")) == "AA"
    assert feed(services, adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|A2^^^{TOKYO}", time="20260104000000")).startswith("AE")


@pytest.mark.parametrize(
    "sign",
    [
        {"born": "20260101"},
        {"f21": f"A1^^^{TOKYO}"},
        {"f24": "Y", "f25": "2"},
        {"name": "^^^^^^S"},
        {"name": '""'},
    ],
)
def test_a_newborn_without_a_name_is_taken(own: Node, sign: dict[str, str]) -> None:
    services, _ = own
    values = {"name": "", "born": "", **sign}
    assert feed(services, adt("A01", pid(f"N1^^^{TOKYO}", **values))) == "AA"
    assert field(ask(services, pix(f"N1^^^{TOKYO}", OSAKA))["QAK"][0], 2) == "NF"


def test_an_authority_by_its_oid_alone_is_answered_with_both_halves(own: Node) -> None:
    services, _ = own
    assert feed(services, adt("A04", pid(f"A1^^^&{ARC}.2&ISO~M1^^^MEDICAL-ID"))) == "AA"
    assert feed(services, adt("A04", pid(f"B1^^^OSAKA-HP~M1^^^{MEDICAL}"))) == "AA"
    (segment,) = ask(services, pix("A1^^^TKY", OSAKA))["PID"]
    assert field(segment, 3) == f"B1^^^{OSAKA}"


def test_the_affinity_domain_is_fed_and_linked_by_one_list(own: Node) -> None:
    services, _ = own
    assert feed(services, adt("A04", pid(f"X1^^^{REGION}~A1^^^{TOKYO}"))) == "AA"
    assert f"X1@{ARC}.1.1" in ids(ask(services, pix(f"A1^^^{TOKYO}", REGION)))
    assert ids(ask(services, pix(f"X1^^^{REGION}", TOKYO))) == [f"A1@{ARC}.2"]


def test_two_numbers_of_one_domain_in_one_list_are_one_person(own: Node) -> None:
    services, _ = own
    assert feed(services, adt("A04", pid(f"A1^^^{TOKYO}"))) == "AA"
    assert feed(services, adt("A04", pid(f"A2^^^{TOKYO}~M1^^^{MEDICAL}"))) == "AA"
    assert feed(services, adt("A08", pid(f"A1^^^{TOKYO}~M1^^^{MEDICAL}"))) == "AA"
    assert feed(services, adt("A04", pid(f"B1^^^{OSAKA}~M1^^^{MEDICAL}"))) == "AA"
    assert ids(ask(services, pix(f"B1^^^{OSAKA}", TOKYO))) == [f"A1@{ARC}.2", f"A2@{ARC}.2"]


def test_of_one_second_the_revision_is_later_than_the_registration(own: Node) -> None:
    services, parts = own
    assert feed(services, adt("A08", pid(f"A1^^^{TOKYO}", "新^姓"))) == "AA"
    assert feed(services, adt("A04", pid(f"A1^^^{TOKYO}", "旧^姓"))) == "AA"
    (body,) = rows(parts, "SELECT body FROM resource WHERE type = 'Patient'")
    assert "新 姓" in bytes(body[0]).decode()


def test_a_feed_that_holds_the_person_alone_leaves_the_basics_alone(own: Node) -> None:
    services, parts = own
    full = adt("A08", pid(f"A1^^^{TOKYO}"), "AL1|1|DA|D1^ペニシリン^99X", version="2.5", facility="TOKYO-HP")
    assert feed(services, full) == "AA"
    later = adt("A08", pid(f"A1^^^{TOKYO}", "新^姓"), time="20260201000000", version="2.5", facility="TOKYO-HP")
    assert feed(services, later) == "AA"
    shown = {one.type: one.body.decode() for one in parts.resources.export(UNRESTRICTED)}
    assert "AllergyIntolerance" in shown and "新 姓" in shown["Patient"]


def test_a_bare_number_in_2_5_is_the_senders(own: Node) -> None:
    services, _ = own
    assert feed(services, adt("A08", pid("0001^^^^PI"), version="2.5", facility="TOKYO-HP")) == "AA"
    assert field(ask(services, pix(f"0001^^^{TOKYO}", REGION))["QAK"][0], 2) == "OK"
    assert feed(services, adt("A08", pid("0001^^^^PI"), version="2.5", facility="NOBODY")) == "AE 204 PID^1^3^1^4"


def test_a_shared_id_that_stands_first_is_not_the_number(own: Node) -> None:
    services, parts = own
    assert feed(services, adt("A04", pid(f"M1^^^{MEDICAL}~A1^^^{TOKYO}"))) == "AA"
    assert rows(parts, "SELECT authority, value FROM identity_patient") == [(f"{ARC}.2", "A1")]


MY_NUMBER = "123456789018"


@pytest.mark.parametrize("place", ["PID", "MRG"])
def test_a_my_number_is_refused_and_kept_nowhere(own: Node, place: str) -> None:
    services, parts = own
    feed(services, adt("A04", pid(f"A1^^^{TOKYO}")))
    if place == "PID":
        message = adt("A04", pid(f"{MY_NUMBER}^^^MYNUMBER"), id_="N")
    else:
        message = adt("A40", pid(f"A1^^^{TOKYO}"), f"MRG|{MY_NUMBER}^^^MYNUMBER", id_="N")
    assert feed(services, message).startswith("AE")
    ((sha256, why),) = rows(parts, f"SELECT sha256, rejects FROM {LEDGER} AND outcome = 'rejected'")
    assert "my-number-refused" in why and MY_NUMBER not in why
    with pytest.raises(UnknownDocument):
        parts.blobs.open(sha256)


def test_senders_that_are_listed_assign_in_their_domains_only(tmp_path: Path) -> None:
    listed = [{"application": "SRC", "facility": "XREF", "authorities": ["TOKYO-HP"]}]
    with node(tmp_path, senders=listed, matching={"mode": "off"}) as (services, _):
        assert feed(services, adt("A04", pid(f"A1^^^{TOKYO}"))) == "AA"
        assert feed(services, adt("A04", pid(f"B1^^^{OSAKA}"))) == "AE 204 PID^1^3"
        assert feed(services, adt("A04", pid(f"A2^^^{TOKYO}"), facility="OTHER")) == "AE 204 PID^1^3"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (adt("A99", pid(f"A1^^^{TOKYO}")), "AR 201 MSH^1^9"),
        (adt("A04", pid(f"A1^^^{TOKYO}"), version="2.1"), "AR 203 MSH^1^12"),
        (adt("A04", pid(f"A1^^^{TOKYO}")).replace(b"|P|2.3.1", b"|X|2.3.1"), "AR 202 MSH^1^11"),
        (adt("A04", pid(f"A1^^^{TOKYO}")).replace(b"ADT^A04", b"ZZZ^A04"), "AR 200 MSH^1^9"),
    ],
)
def test_what_the_head_says_is_refused_by_ar(own: Node, message: bytes, expected: str) -> None:
    services, _ = own
    assert feed(services, message).startswith(expected[:6])


def test_no_answer_holds_a_value_of_the_message(own: Node) -> None:
    services, _ = own
    for message, _ in REFUSED.values():
        said = "".join(line for line in send(services, message) if not line.startswith("MSH"))
        assert "見本" not in said and "A1^" not in said


def test_the_charset_of_the_answer_is_that_of_the_message(own: Node) -> None:
    services, _ = own
    replies = answer(Block(adt("A04", pid(f"A1^^^{TOKYO}"), charset="~ISO IR87")), "a", services)
    assert field(segments(replies)[0], 18) == "~ISO IR87"
