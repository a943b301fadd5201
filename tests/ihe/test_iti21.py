"""ITI-21 over a real store: parameters, domains wanted back, pages and their pointers, cancel, charsets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.charset import decode
from gateway.codec.mllp import Block
from gateway.ihe._v2 import V2Services, answer
from gateway.storage.opening import Storage
from tests.oracle_v2 import check_structure
from tests.pix_parts import MEDICAL, OSAKA, REGION, TOKYO, UTF_8, adt, ask, feed, field, head, pdq, pid, told
from tests.v2_parts import ARC, node, rows, send

Node = tuple[V2Services, Storage]
HANAKO = "見本^花子^^^^^L^I~ミホン^ハナコ^^^^^L^P"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node(tmp_path_factory.mktemp("node"), matching={"mode": "off"}) as made:
        home = "^^架空市^東京都^1000001^JPN^H^東京都架空市見本町1-2-3"
        for one in (
            pid(f"A1^^^{TOKYO}~M1^^^{MEDICAL}", HANAKO, f11=home, f13="^PRN^PH^^^^^^^^^03-0000-0001", f6="模擬^京子"),
            pid(f"B1^^^{OSAKA}~M1^^^{MEDICAL}", HANAKO),
            pid(f"A2^^^{TOKYO}", "見本^太郎^^^^^L^I", "19840229", "M"),
            pid(f"A3^^^{TOKYO}", "見本山^次郎^^^^^L^I", "198402", "M"),
            pid(f"A4^^^{TOKYO}", "髙橋^﨑子^^^^^L^I", "1984", "F", f18=f"K7^^^&{ARC}.2&ISO", f21=f"A1^^^{TOKYO}~X5"),
        ):
            assert feed(made[0], adt("A04", one)) == "AA"
        yield made


def hits(found: dict[str, list[str]]) -> list[str]:
    """First id of each PID, sorted."""
    return sorted(field(one, 3).split("^")[0] for one in found.get("PID", []))


def case(found: dict[str, list[str]]) -> str:
    said = [field(found["MSA"][0], 1), field(found["QAK"][0], 2)]
    said += [part for err in found.get("ERR", []) for part in (field(err, 3).split("^")[0], field(err, 2))]
    return " ".join(said)


FOUND = {
    "family": (("@PID.5.1.1^見本",), ["A1", "A2", "B1"]),
    "family, the whole component": (("@PID.5.1^見本",), ["A1", "A2", "B1"]),
    "family in kana": (("@PID.5.1.1^ミホン",), ["A1", "B1"]),
    "family in half-width kana": (("@PID.5.1.1^ﾐﾎﾝ",), ["A1", "B1"]),
    "family with a wildcard": (("@PID.5.1.1^見本*",), ["A1", "A2", "A3", "B1"]),
    "given": (("@PID.5.2^太郎",), ["A2"]),
    "family and given": (("@PID.5.1.1^見本", "@PID.5.2^花子"), ["A1", "B1"]),
    "family and sex": (("@PID.5.1.1^見本", "@PID.8^M"), ["A2"]),
    "a variant form": (("@PID.5.1.1^高橋",), ["A4"]),
    "a whole birth date": (("@PID.7.1^19700405",), ["A1", "B1"]),
    "a birth date in PID.7": (("@PID.7^19700405",), ["A1", "B1"]),
    "a year": (("@PID.7^1970",), ["A1", "B1"]),
    "a month": (("@PID.7^197004",), ["A1", "B1"]),
    "a year with a wildcard": (("@PID.7^1970*",), ["A1", "B1"]),
    "an id": (("@PID.3.1^A1",), ["A1"]),
    "an id of a namespace": (("@PID.3.1^A1", "@PID.3.4.1^TOKYO-HP"), ["A1"]),
    "an id of an OID": (("@PID.3.1^A1", f"@PID.3.4.2^{ARC}.2", "@PID.3.4.3^ISO"), ["A1"]),
    "an id of an OID that is not said to be one": (("@PID.3.1^A1", f"@PID.3.4.2^{ARC}.2"), ["A1"]),
    "a whole CX": ((f"@PID.3^A1^^^{TOKYO}",), ["A1"]),
    "a postal code": (("@PID.11.5^1000001",), ["A1"]),
    "a state": (("@PID.11.4^東京都",), ["A1"]),
    "a city": (("@PID.11.3^架空市",), ["A1"]),
    "mother's maiden name": (("@PID.6.1.1^模擬*",), ["A1"]),
    "a telephone": (("@PID.13^0300000001",), ["A1"]),
    "nobody": (("@PID.5.1.1^無名",), []),
    "all must hold": (("@PID.5.1.1^見本", "@PID.7^1900"), []),
    "an id of another domain": (("@PID.3.1^A1", "@PID.3.4.1^OSAKA-HP"), []),
    "an id of a domain nobody knows": (("@PID.3.1^A1", "@PID.3.4.1^NOBODY"), []),
    "an account number": (("@PID.18.1^K7",), ["A4"]),
    "an account number of an authority": (("@PID.18.1^K7", f"@PID.18.4.2^{ARC}.2"), ["A4"]),
    "an account number of another authority": (("@PID.18.1^K7", f"@PID.18.4.2^{ARC}.22"), []),
    "an account number nobody has": (("@PID.18.1^K",), []),
    "a mother's number": (("@PID.21.1^A1", "@PID.21.4.1^TOKYO-HP"), ["A4"]),
    "a mother's number without an authority": (("@PID.21^X5",), ["A4"]),
    "a mother's number of a domain nobody knows": (("@PID.21.1^A1", "@PID.21.4.1^NOBODY"), []),
    "account and sex": (("@PID.18.1^K7", "@PID.8^M"), []),
}


@pytest.mark.parametrize("name", FOUND)
def test_who_is_found(known: Node, name: str) -> None:
    services, _ = known
    parameters, expected = FOUND[name]
    found = ask(services, pdq(*parameters))
    assert hits(found) == expected
    assert case(found) == ("AA OK" if expected else "AA NF")
    total = str(len(expected))
    assert found["QAK"][0].split("|")[4:7] == [total, total, "0"]
    check_structure(found, "RSP_K21")


REFUSED = {
    "no parameter": (pdq(""), "AE AE 101 QPD^1^3"),
    "no at": (pdq("PID.5.1.1^見本"), "AE AE 102 QPD^1^3"),
    "no field": (pdq("@PID^見本"), "AE AE 102 QPD^1^3"),
    "words": (pdq("見本花子"), "AE AE 102 QPD^1^3"),
    "an unknown field": (pdq("@PID.5.1.1^見本", "@PID.99^x"), "AE AE 102 QPD^1^3^2"),
    "another segment": (pdq("@PV1.3.1^W"), "AE AE 102 QPD^1^3^1"),
    "no value": (pdq("@PID.5.1.1^"), "AE AE 102 QPD^1^3^1"),
    "a birth date that is none": (pdq("@PID.7^昭和45年"), "AE AE 102 QPD^1^3^1"),
    "two birth dates": (pdq("@PID.7^1970", "@PID.7^1984"), "AE AE 102 QPD^1^3^2"),
    "an unknown domain": (pdq("@PID.5.1.1^見本", domains=["NOBODY"]), "AE AE 204 QPD^1^8^1"),
    "the third domain unknown": (pdq("@PID.8^F", domains=[TOKYO, OSAKA, "X"]), "AE AE 204 QPD^1^8^3"),
    "a page that is no number": (pdq("@PID.8^F", rcp="I|many^RD"), "AE AE 102 RCP^1^2"),
    "an unknown unit": (pdq("@PID.8^F", rcp="I|1^CH"), "AE AE 103 RCP^1^2^1^2"),
    "an unknown pointer": (pdq("@PID.8^F", pointer="NOTHING"), "AE AE 204 DSC^1^1"),
    "no tag": (pdq("@PID.8^F", tag=""), "AE AE 101 QPD^1^2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_where(known: Node, name: str) -> None:
    services, _ = known
    message, expected = REFUSED[name]
    found = ask(services, message)
    assert case(found) == expected and "PID" not in found
    assert found["QPD"] == [line for line in message.decode().split("\r") if line.startswith("QPD")]


def test_a_hit_is_a_whole_pid_with_its_confidence(known: Node) -> None:
    services, _ = known
    found = ask(services, pdq("@PID.3.1^A1"))
    (segment,) = found["PID"]
    assert field(segment, 3).split("~")[0] == f"A1^^^{TOKYO}"
    assert field(segment, 5) == HANAKO and field(segment, 6) == "模擬 京子"
    assert (field(segment, 7), field(segment, 8)) == ("19700405", "F")
    assert "1000001" in field(segment, 11) and "03-0000-0001" in field(segment, 13)
    assert found["QRI"] == ["QRI|100"]
    assert [line[:3] for line in found[""]] == ["MSH", "MSA", "QAK", "QPD", "PID", "QRI"]


def test_the_domains_wanted_back_are_the_ids_given(known: Node) -> None:
    services, _ = known
    (segment,) = ask(services, pdq("@PID.3.1^A1", f"@PID.3.4.2^{ARC}.2", domains=[OSAKA]))["PID"]
    assert field(segment, 3) == f"B1^^^{OSAKA}"
    both = ask(services, pdq("@PID.3.1^A1", f"@PID.3.4.2^{ARC}.2", domains=[TOKYO, OSAKA]))["PID"]
    assert [field(one, 3).split("~")[0] for one in both] == [f"A1^^^{TOKYO}", f"B1^^^{OSAKA}"]
    none = ask(services, pdq("@PID.3.1^A2", f"@PID.3.4.2^{ARC}.2", domains=[OSAKA]))
    assert case(none) == "AA NF"
    assert case(ask(services, pdq("@PID.3.1^A1", domains=[REGION]))) == "AA OK"


def test_pages_give_everybody_once(known: Node) -> None:
    services, _ = known
    seen, pointer, counts = [], "", []
    for _page in range(3):
        found = ask(services, pdq("@PID.5.1.1^見本*", rcp="I|2^RD", pointer=pointer, tag="P"))
        seen += hits(found)
        counts.append(found["QAK"][0].split("|")[4:7])
        if "DSC" not in found:
            break
        assert field(found["DSC"][0], 2) == "I"
        pointer = field(found["DSC"][0], 1)
    assert sorted(seen) == ["A1", "A2", "A3", "B1"]
    assert counts == [["4", "2", "2"], ["4", "2", "0"]]


def test_a_page_may_be_asked_for_again(known: Node) -> None:
    services, _ = known
    first = ask(services, pdq("@PID.5.1.1^見本*", rcp="I|2^RD", tag="R"))
    pointer = field(first["DSC"][0], 1)
    pages = [hits(ask(services, pdq("@PID.5.1.1^見本*", rcp="I|2^RD", pointer=pointer, tag="R"))) for _ in range(2)]
    assert pages[0] == pages[1] and len(pages[0]) == 2


def test_a_pointer_is_worth_nothing_under_another_tag_or_to_another_sender(known: Node) -> None:
    services, _ = known
    pointer = field(ask(services, pdq("@PID.5.1.1^見本*", rcp="I|1^RD", tag="S"))["DSC"][0], 1)
    assert case(ask(services, pdq("@PID.5.1.1^見本*", pointer=pointer, tag="OTHER"))) == "AE AE 204 DSC^1^1"
    other = pdq("@PID.5.1.1^見本*", pointer=pointer, tag="S").replace(b"|SRC|", b"|ELSE|")
    assert case(ask(services, other)) == "AE AE 204 DSC^1^1"


def cancel(tag: str) -> bytes:
    return f"{head('QCN^J01^QCN_J01', 'X1', '2.5', '20260102120000', UTF_8)}\rQID|{tag}|IHE PDQ Query\r".encode()


def test_a_cancelled_query_goes_on_nowhere(known: Node) -> None:
    services, _ = known
    pointer = field(ask(services, pdq("@PID.5.1.1^見本*", rcp="I|1^RD", tag="C"))["DSC"][0], 1)
    lines = send(services, cancel("C"))
    assert field(lines[0], 9) == "ACK^J01^ACK" and lines[1:] == ["MSA|AA|X1"]
    assert case(ask(services, pdq("@PID.5.1.1^見本*", pointer=pointer, tag="C"))) == "AE AE 204 DSC^1^1"
    assert send(services, cancel("C"))[1] == "MSA|AA|X1"
    assert send(services, cancel(""))[1] == "MSA|AE|X1"


@pytest.mark.parametrize("charset", [UTF_8, "~ISO IR87"])
def test_the_answer_is_in_the_charset_of_the_question(known: Node, charset: str) -> None:
    services, _ = known
    (reply,) = answer(
        Block(pdq("@PID.5.2^﨑子" if charset == UTF_8 else "@PID.7^1984", charset=charset)), "a", services
    ).messages
    assert (b"\x1b$B" in reply) == (charset != UTF_8)
    assert any("髙橋^﨑子" in line for line in decode(reply).segments)


def test_without_a_charset_an_answer_that_needs_one_says_so(known: Node) -> None:
    services, _ = known
    found = ask(services, pdq("@PID.3.1^A1", charset=""))
    assert field(found["MSH"][0], 18) == UTF_8 and "見本" in found["PID"][0]
    nothing = ask(services, pdq("@PID.3.1^ZZ", charset=""))
    assert field(nothing["MSH"][0], 18) == ""


def test_one_record_a_query_without_its_values(tmp_path: Path) -> None:
    with node(tmp_path, matching={"mode": "off"}) as (services, parts):
        ask(services, pdq("@PID.5.1.1^見本"))
        (record,) = rows(parts, 'SELECT event, "transaction", outcome, object, detail FROM audit')
        assert record[:3] == ("110112", "ITI-21", 0)
        assert "見本" not in str(record)


def test_delimiters_in_values_are_escaped(tmp_path: Path) -> None:
    with node(tmp_path, matching={"mode": "off"}) as (services, _):
        feed(services, adt("A04", pid(f"A\\T\\1^^^{TOKYO}", "A\\F\\B^C\\S\\D^^^^^L^A")))
        (segment,) = ask(services, pdq("@PID.7^1970"))["PID"]
        assert field(segment, 3).startswith("A\\T\\1^^^") and field(segment, 5).startswith("A\\F\\B^C\\S\\D")


GARBAGE = {
    "ten million characters": pdq(f"@PID.5.1.1^{'A' * 10_000_000}"),
    "ten thousand parameters": pdq(*(f"@PID.5.1.1^A{n}" for n in range(10_000))),
    "a NUL": pdq("@PID.5.1.1^A\x00B"),
    "wildcards alone": pdq("@PID.5.1.1^***"),
    "quotes": pdq("@PID.5.1.1^' OR 1=1 --"),
    "a percent sign": pdq("@PID.5.1.1^%"),
    "digits of no size": pdq("@PID.8^F", rcp="I|99999999999999999999^RD"),
    "bytes of no charset": pdq("@PID.5.1.1^xx").replace(b"xx", b"\xff\xfe\x80"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_answered_and_finds_nobody(known: Node, name: str) -> None:
    services, _ = known
    found = ask(services, GARBAGE[name])
    assert "PID" not in found
    assert case(ask(services, pdq("@PID.3.1^A1"))) == "AA OK"


def test_a_wildcard_alone_asks_for_nothing(known: Node) -> None:
    services, _ = known
    assert told(ask(services, pdq("@PID.5.1.1^*~@PID.5.2^*"))[""]) == "AE 102 QPD^1^3"
    with_it, without = (ask(services, pdq(*more, "@PID.5.2.1^太郎")) for more in (["@PID.5.1.1^*"], []))
    assert with_it["PID"] == without["PID"] and len(without["PID"]) == 1


def test_account_and_mothers_numbers_come_back(known: Node) -> None:
    (one,) = ask(known[0], pdq("@PID.18.1^K7"))["PID"]
    assert field(one, 18) == f"K7^^^&{ARC}.2&ISO" and field(one, 21) == f"A1^^^&{ARC}.2&ISO~X5"
