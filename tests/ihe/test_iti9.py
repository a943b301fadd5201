"""ITI-9 over a real store: cases 1 to 6 of ITI TF-2: 3.9.4.2.2.6, and input nobody should send."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.charset import decode
from gateway.codec.mllp import Block
from gateway.ihe._v2 import V2Services, answer
from gateway.storage.opening import Storage
from tests.oracle_v2 import check_structure
from tests.pix_parts import MEDICAL, OSAKA, REGION, TOKYO, UTF_8, adt, ask, feed, field, ids, pid, pix
from tests.v2_parts import ARC, node, rows

Node = tuple[V2Services, Storage]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A1 in Tokyo is B1 in Osaka; A7 is alone; two numbers of Osaka (C1, C2) are one person with A3."""
    with node(tmp_path_factory.mktemp("node"), matching={"mode": "off"}) as made:
        for one in (
            f"A1^^^{TOKYO}~M1^^^{MEDICAL}",
            f"B1^^^{OSAKA}~M1^^^{MEDICAL}",
            f"A7^^^{TOKYO}",
            f"A3^^^{TOKYO}~M3^^^{MEDICAL}",
            f"C1^^^{OSAKA}~M3^^^{MEDICAL}",
            f"C2^^^{OSAKA}~M3^^^{MEDICAL}",
            f"番１^^^{TOKYO}~M9^^^{MEDICAL}",
            f"髙^^^{OSAKA}~M9^^^{MEDICAL}",
        ):
            assert feed(made[0], adt("A04", pid(one))) == "AA"
        yield made


def case(found: dict[str, list[str]]) -> str:
    """`AE AE 204 QPD^1^3^1^1`: MSA-1, QAK-2, and of an error ERR-3 and ERR-2."""
    said = [field(found["MSA"][0], 1), field(found["QAK"][0], 2)]
    said += [part for err in found.get("ERR", []) for part in (field(err, 3).split("^")[0], field(err, 2))]
    return " ".join(said)


CASES = {
    "1 found": (pix(f"A1^^^{TOKYO}", OSAKA), "AA OK", [f"B1@{ARC}.22"]),
    "1 by namespace": (pix("A1^^^TOKYO-HP", OSAKA), "AA OK", [f"B1@{ARC}.22"]),
    "1 by alias": (pix("A1^^^TKY", "OSAKA-HP"), "AA OK", [f"B1@{ARC}.22"]),
    "1 by OID": (pix(f"A1^^^&{ARC}.2&ISO", f"&{ARC}.22&ISO"), "AA OK", [f"B1@{ARC}.22"]),
    "1 by a shared id": (pix(f"M1^^^{MEDICAL}", TOKYO, OSAKA), "AA OK", [f"A1@{ARC}.2", f"B1@{ARC}.22"]),
    "1 in the order asked for": (pix(f"M1^^^{MEDICAL}", OSAKA, TOKYO), "AA OK", [f"B1@{ARC}.22", f"A1@{ARC}.2"]),
    "2 nothing there": (pix(f"A7^^^{TOKYO}", OSAKA), "AA NF", None),
    "2 the asked id alone is there": (pix(f"A7^^^{TOKYO}", TOKYO), "AA NF", None),
    "3 id unknown": (pix(f"A9^^^{TOKYO}", OSAKA), "AE AE 204 QPD^1^3^1^1", None),
    "3 and no domain asked": (pix(f"A9^^^{TOKYO}"), "AE AE 204 QPD^1^3^1^1", None),
    "4 domain unknown": (pix("A1^^^NOBODY", OSAKA), "AE AE 204 QPD^1^3^1^4", None),
    "4 OID unknown": (pix("A1^^^&1.2.3&ISO"), "AE AE 204 QPD^1^3^1^4", None),
    "4 no ISO": (pix(f"A1^^^&{ARC}.2"), "AE AE 204 QPD^1^3^1^4", None),
    "4 no domain": (pix("A1"), "AE AE 204 QPD^1^3^1^4", None),
    "4 comes before 5": (pix("A1^^^NOBODY", "NOBODY"), "AE AE 204 QPD^1^3^1^4", None),
    "5 first domain unknown": (pix(f"A1^^^{TOKYO}", "NOBODY"), "AE AE 204 QPD^1^4^1", None),
    "5 two unknown": (pix(f"A1^^^{TOKYO}", OSAKA, "X", MEDICAL, "Y"), "AE AE 204 QPD^1^4^2~QPD^1^4^4", None),
    "6 several of one domain": (pix(f"A3^^^{TOKYO}", OSAKA), "AA OK", [f"C1@{ARC}.22", f"C2@{ARC}.22"]),
    "an empty QPD-3": (pix(""), "AE AE 101 QPD^1^3", None),
    "no value": (pix(f"^^^{TOKYO}"), "AE AE 101 QPD^1^3^1^1", None),
    "two ids": (pix(f"A1^^^{TOKYO}~A7^^^{TOKYO}"), "AE AE 102 QPD^1^3", None),
    "no tag": (pix(f"A1^^^{TOKYO}", tag=""), "AE AE 101 QPD^1^2", None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cases(known: Node, name: str) -> None:
    services, _ = known
    message, expected, there = CASES[name]
    found = ask(services, message)
    assert case(found) == expected
    assert (ids(found) if "PID" in found else None) == there
    check_structure(found, "RSP_K23")


def test_all_domains_when_none_is_asked_and_never_the_asked_id(known: Node) -> None:
    services, _ = known
    found = ids(ask(services, pix(f"A1^^^{TOKYO}")))
    assert {f"B1@{ARC}.22", f"M1@{ARC}.3"} <= set(found) and f"A1@{ARC}.2" not in found


def test_the_shape_of_an_answer(known: Node) -> None:
    services, _ = known
    message = pix(f"A1^^^{TOKYO}", OSAKA, tag="QRY~1")
    (reply,) = answer(Block(message), "a", services).messages
    lines = reply.decode().split("\r")
    assert [line[:3] for line in lines] == ["MSH", "MSA", "QAK", "QPD", "PID", ""]
    asked = message.decode().split("\r")
    assert lines[3] == asked[1]  # verbatim
    assert field(lines[0], 9) == "RSP^K23^RSP_K23" and field(lines[0], 12) == "2.5" and field(lines[0], 18) == UTF_8
    assert (field(lines[0], 3), field(lines[0], 5)) == ("GW", "SRC")
    assert lines[1] == f"MSA|AA|{field(asked[0], 10)}"
    assert lines[2] == "QAK|QRY~1|OK|IHE PIX Query^^HL70471"
    assert lines[4] == f"PID|||B1^^^{OSAKA}||~^^^^^^S"


def test_an_error_stands_between_msa_and_qak(known: Node) -> None:
    services, _ = known
    (reply,) = answer(Block(pix(f"A9^^^{TOKYO}")), "a", services).messages
    lines = reply.decode().split("\r")
    assert [line[:3] for line in lines] == ["MSH", "MSA", "ERR", "QAK", "QPD", ""]
    assert field(lines[2], 3) == "204^Unknown key identifier^HL70357" and field(lines[2], 4) == "E"


def test_the_affinity_domain_is_answered(known: Node) -> None:
    services, _ = known
    (own,) = ids(ask(services, pix(f"A1^^^{TOKYO}", REGION)))
    value, _, oid = own.partition("@")
    assert oid == f"{ARC}.1.1"
    assert f"A1@{ARC}.2" in ids(ask(services, pix(f"{value}^^^{REGION}", TOKYO)))


@pytest.mark.parametrize(
    ("charset", "codec"), [(UTF_8, "utf-8"), ("~ISO IR87", "iso2022_jp"), ("ISO IR87", "iso2022_jp")]
)
def test_the_answer_is_in_the_charset_of_the_question(known: Node, charset: str, codec: str) -> None:
    services, _ = known
    (reply,) = answer(Block(pix(f"番１^^^{TOKYO}", OSAKA, charset=charset)), "a", services).messages
    assert (b"\x1b$B" in reply) == (codec == "iso2022_jp")
    assert field(reply.decode("utf-8", "replace").split("\r")[0], 18) == charset
    if codec == "utf-8":
        assert "髙" in reply.decode()
    else:  # a vendor character, which the standard codec does not read and ours does
        assert any("髙" in line for line in decode(reply).segments)


def test_each_answer_leaves_one_record(tmp_path: Path) -> None:
    with node(tmp_path, matching={"mode": "off"}) as (services, parts):
        feed(services, adt("A04", pid(f"A1^^^{TOKYO}")))
        ask(services, pix(f"A1^^^{TOKYO}", OSAKA))
        ask(services, pix(f"A2^^^{TOKYO}", OSAKA))
        found = rows(parts, 'SELECT event, "transaction", action, outcome, patient, object FROM audit ORDER BY n')[1:]
        assert found == [
            ("110112", "ITI-9", "E", 0, f"A1^^^&{ARC}.2&ISO", "T1"),
            ("110112", "ITI-9", "E", 4, f"A2^^^&{ARC}.2&ISO", "T1"),
        ]


def test_enhanced_mode_has_an_accept_acknowledgement_before(known: Node) -> None:
    services, _ = known
    message = pix(f"A1^^^{TOKYO}", OSAKA).replace(b"|2.5||||||", b"|2.5|||AL|AL||")
    first, second = answer(Block(message), "a", services).messages
    assert b"MSA|CA|" in first and b"MSA|AA|" in second and b"RSP^K23" in second


GARBAGE = {
    "no QPD": b"MSH|^~\\&|A|B|C|D|20260101||QBP^Q23^QBP_Q21|1|P|2.5\rRCP|I\r",
    "two QPD": pix(f"A1^^^{TOKYO}") + b"QPD|a|b|c\r",
    "QPD of nothing": b"MSH|^~\\&|A|B|C|D|20260101||QBP^Q23^QBP_Q21|1|P|2.5\rQPD\r",
    "delimiters alone": pix("^^^^~^^~&&^"),
    "a NUL": pix(f"A1\x00^^^{TOKYO}"),
    "ten million characters": pix(f"{'A' * 10_000_000}^^^{TOKYO}"),
    "ten thousand domains": pix(f"A1^^^{TOKYO}", *(f"X{n}" for n in range(10_000))),
    "bytes of no charset": pix(f"A1^^^{TOKYO}").replace(b"A1", b"\xff\xfe\x80"),
    "Shift_JIS said to be UTF-8": pix("x").replace(b"|x", "|番号^^^TOKYO-HP".encode("cp932")),
    "an open shift": pix(f"A1^^^{TOKYO}", charset="~ISO IR87").replace(b"A1", b"\x1b$BHV"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_answered_and_breaks_nothing(known: Node, name: str) -> None:
    services, _ = known
    replies = answer(Block(GARBAGE[name]), "a", services)
    assert len(replies.messages) == 1
    assert replies.answer in ("AE", "AR") or name in ("a NUL", "an open shift")
    assert case(ask(services, pix(f"A1^^^{TOKYO}", OSAKA))) == "AA OK"
