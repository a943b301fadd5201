"""From a block to its answers: what is taken, what is refused and how, over a real store."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.codec.mllp import Block
from gateway.ihe import _v2
from gateway.ihe._v2 import V2Services, answer
from gateway.model.caller import UNRESTRICTED
from gateway.storage.opening import Storage
from tests.v2_parts import ARC, LEDGER, lab, node, rows, segments, send

Node = tuple[V2Services, Storage]


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """For tests that look at the answer, and at nothing that another test stored."""
    with node(tmp_path_factory.mktemp("node")) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Node]:
    with node(tmp_path) as made:
        yield made


def answered(lines: list[str]) -> str:
    """MSA-1 and, with an error, ERR-3 and ERR-2: `AE 204 PID^1^3^1^4`."""
    (msa,) = [line for line in lines if line.startswith("MSA")]
    errs = [line.split("|") for line in lines if line.startswith("ERR")]
    return " ".join([msa.split("|")[1], *(part for err in errs for part in (err[3].split("^")[0], err[2]) if part)])


def test_accepted_and_there_when_the_answer_is_given(own: Node) -> None:
    services, parts = own
    lines = send(services, lab("M1"))
    assert lines[1] == "MSA|AA|M1" and len(lines) == 2
    assert rows(parts, "SELECT count(*) FROM resource WHERE type = 'Observation'") == [(1,)]
    (audit,) = rows(parts, 'SELECT "transaction", action, outcome, actor, address, patient FROM audit')
    assert audit == ("mllp", "C", 0, "LAB|TOKYO-HP", "192.0.2.7", f"0001^^^&{ARC}.2&ISO")


REFUSED = {
    "an unknown authority in PID-3": (lab(patient="0001^^^NOBODY"), "AE 204 PID^1^3^1^4"),
    "an unknown OID in PID-3": (lab(patient="0001^^^&1.2.3.4&ISO"), "AE 204 PID^1^3^1^4"),
    "an OID that is not said to be one": (lab(patient=f"0001^^^&{ARC}.2"), "AE 204 PID^1^3^1^4"),
    "a namespace and an OID of two authorities": (lab(patient=f"0001^^^OSAKA-HP&{ARC}.2&ISO"), "AE 204 PID^1^3^1^4"),
    "a bare number of an unknown sender": (lab(facility="NOBODY"), "AE 204 PID^1^3^1^4"),
    "a bare number and no sender": (lab(facility=""), "AE 204 PID^1^3^1^4"),
    "no PID": (lab(pid="NTE|1"), "AE 101 PID^1^3"),
    "no patient number": (lab(patient="^^^TOKYO-HP"), "AE 101 PID^1^3"),
    "two PID": (lab(pid="PID|1||0001\rPID|2||0002"), "AE 100 PID^2"),
    "no time": (lab(time=""), "AE 101 MSH^1^7"),
    "no control id": (lab(""), "AE 101 MSH^1^10"),
    "a control id of 200 characters": (lab("1" * 200), "AE 102 MSH^1^10"),
    "no message type": (lab(type_=""), "AR 101 MSH^1^9"),
    "no processing id": (lab(processing=""), "AR 101 MSH^1^11"),
    "no version": (lab(version=""), "AR 101 MSH^1^12"),
    "an unknown message type": (lab(type_="ZZZ^Z01"), "AR 200 MSH^1^9^1^1"),
    "an unknown event": (lab(type_="OUL^R99"), "AR 201 MSH^1^9^1^2"),
    "no event": (lab(type_="OUL"), "AR 201 MSH^1^9^1^2"),
    "a processing id nobody knows": (lab(processing="X"), "AR 202 MSH^1^11"),
    "another version": (lab(version="2.2"), "AR 203 MSH^1^12"),
    "a version of another world": (lab(version="3.0"), "AR 203 MSH^1^12"),
    "no delimiters": (lab().replace(b"^~\\&", b"^^^^", 1), "AR 102 MSH^1^2"),
}


@pytest.mark.parametrize("processing", ["P", "T", "D"])
def test_training_is_taken_unless_the_site_says_no(tmp_path: Path, processing: str) -> None:
    with node(tmp_path / "any") as (services, _):
        assert answered(send(services, lab(processing=processing))) == "AA"
    with node(tmp_path / "strict", mllp={"processing_ids": ["P"]}) as (services, _):
        assert answered(send(services, lab(processing=processing))) == (
            "AA" if processing == "P" else "AR 202 MSH^1^11"
        )


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_how(own: Node, name: str) -> None:
    services, parts = own
    message, expected = REFUSED[name]
    lines = send(services, message)
    assert answered(lines) == expected
    assert rows(parts, "SELECT count(*) FROM resource") == [(0,)]
    assert rows(parts, "SELECT count(*), max(outcome) FROM audit") == [(1, 4)]
    assert "0001" not in "".join(lines[2:]) and "見本" not in "".join(lines)


@pytest.mark.parametrize("name", [name for name, (_, code) in REFUSED.items() if code.startswith("AE")])
def test_what_is_refused_for_its_content_is_kept_as_bytes(own: Node, name: str) -> None:
    services, parts = own
    message, _ = REFUSED[name]
    send(services, message)
    kept = rows(parts, f"SELECT sha256, outcome FROM {LEDGER}")
    if "MSH^1^10" in REFUSED[name][1]:
        assert kept == []
    else:
        ((sha256, outcome),) = kept
        assert outcome == "rejected" and parts.blobs.open(sha256).read() == message


ACCEPTED = {
    "version 2.3.1": lab("V1", version="2.3.1"),
    "version 2.4": lab("V2", version="2.4"),
    "version with its country": lab("V3", version="2.5^JPN&JPN&ISO3166"),
    "an alias as sender": lab("V4", facility="TKY"),
    "an authority by namespace and OID": lab("V5", patient=f"0001^^^TOKYO-HP&{ARC}.2&ISO"),
    "an authority by its OID and a namespace of the sender's own": lab("V6", patient=f"0001^^^HIS&{ARC}.2&ISO"),
    "UTF-8": lab("V7", charset="UNICODE UTF-8"),
    "no message structure": lab("V8", type_="OUL^R22"),
    "a control id with blanks and kanji": lab("検査 1"),
    "line feeds": lab("V9").replace(b"\r", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + lab("V10", charset="UNICODE UTF-8"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted(shared_node: Node, name: str) -> None:
    assert answered(send(shared_node[0], ACCEPTED[name])) == "AA"


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (lab("W1", facility="NOBODY", patient=f"0001^^^&{ARC}.2&ISO"), "MSH^1^4"),
        (lab("W2", patient="0001^^^TOKYO-HP~123^^^KOKUHO"), "PID^1^3^2^4"),
    ],
)
def test_what_is_accepted_with_a_warning(shared_node: Node, message: bytes, place: str) -> None:
    lines = send(shared_node[0], message)
    assert answered(lines) == f"AA 204 {place}"
    assert [line.split("|")[4] for line in lines if line.startswith("ERR")] == ["W"]
    assert send(shared_node[0], message) == lines, "the same message again: the same answer, its warning included"


def test_the_authority_of_the_number_decides_whose_patient_it_is(own: Node) -> None:
    services, parts = own
    send(services, lab("M1", facility="OSAKA-HP", patient=f"0001^^^&{ARC}.2&ISO"))
    assert rows(parts, "SELECT DISTINCT facility FROM source_file") == [(f"{ARC}.2",)]


def test_bytes_without_a_character_are_refused_and_kept(own: Node) -> None:
    services, parts = own
    message = lab("M1", charset="UNICODE UTF-8").replace("花子".encode(), b"\xff\xfe\xfd")
    assert answered(send(services, message)) == "AE 102"
    ((sha256,),) = rows(parts, f"SELECT sha256 FROM {LEDGER}")
    assert parts.blobs.open(sha256).read() == message


# -- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_message_again_has_the_same_answer_and_is_stored_once(tmp_path: Path) -> None:
    with node(tmp_path) as (services, parts):
        first = answer(Block(lab("M1")), "a", services)
        before = rows(parts, "SELECT type, rid, version FROM resource")
    with node(tmp_path) as (services, parts):  # after a restart
        again = answer(Block(lab("M1")), "b", services)
        assert again.messages == first.messages and (first.answer, again.answer) == ("AA", "again")
        assert rows(parts, "SELECT type, rid, version FROM resource") == before
        assert rows(parts, "SELECT count(DISTINCT sha256) FROM source_file WHERE timestamp <> ''") == [(1,)]


def test_the_same_control_id_of_another_sender_is_another_message(own: Node) -> None:
    services, parts = own
    messages = (lab("M1"), lab("M1", application="HIS"), lab("M1", facility="OSAKA-HP"))
    for order, message in enumerate(messages, 1):
        assert answered(send(services, message.replace(b"0101", b"010%d" % order))) == "AA"
    assert rows(parts, f"SELECT count(*) FROM {LEDGER}") == [(3,)]


def test_a_control_id_with_another_message_is_processed_and_reported(own: Node) -> None:
    services, parts = own
    send(services, lab("M1"))
    lines = send(services, lab("M1", order="000000000000102"))
    assert answered(lines) == "AA 205 MSH^1^10"
    assert rows(parts, "SELECT count(*) FROM resource WHERE type = 'Observation'") == [(2,)]


def test_a_control_id_with_another_message_is_refused_where_that_is_wanted(tmp_path: Path) -> None:
    with node(tmp_path, mllp={"reused_control_id": "reject"}) as (services, parts):
        send(services, lab("M1"))
        assert answered(send(services, lab("M1", order="000000000000102"))) == "AR 205 MSH^1^10"
        assert answered(send(services, lab("M1"))) == "AA"
        assert rows(parts, "SELECT count(*) FROM resource WHERE type = 'Observation'") == [(1,)]


def test_a_refused_message_may_be_mended_under_its_control_id(own: Node) -> None:
    services, _ = own
    assert answered(send(services, lab("M1", pid="NTE|1"))).startswith("AE")
    assert answered(send(services, lab("M1"))) == "AA"


def test_what_was_refused_is_tried_again(tmp_path: Path) -> None:
    """What was wrong may have been our configuration."""
    message = lab("M1", facility="NEW-HP")
    with node(tmp_path) as (services, _):
        assert answered(send(services, message)).startswith("AE 204")
    with node(tmp_path, authorities=[{"oid": f"{ARC}.9", "namespace": "NEW-HP"}]) as (services, _):
        assert answered(send(services, message)) == "AA"


def test_a_correction_replaces_and_an_older_message_does_not(own: Node) -> None:
    services, parts = own
    for control_id, value, time in (("M1", "7.2", "20260102110000"), ("M3", "7.4", "20260102130000"),
                                    ("M2", "7.3", "20260102120000")):  # fmt: skip
        assert answered(send(services, lab(control_id, value=value, time=time))) == "AA"
    (body,) = [one.body for one in parts.resources.export(UNRESTRICTED) if one.type == "Observation"]
    assert b'"value":7.4' in body


# -- odd blocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\x06", b"\x15", b" \x00"])
def test_blocks_without_a_message_are_not_answered(shared_node: Node, data: bytes) -> None:
    assert answer(Block(data), "a", shared_node[0]) == _v2.Replies([])


@pytest.mark.parametrize("data", [b"hello", b"\x16\x03\x01", b"PID|1||0001", b"\xff\xfeM\x00S\x00H\x00", b"MSH"])
def test_what_is_no_hl7_is_not_answered_and_the_connection_ends(shared_node: Node, data: bytes) -> None:
    replies = answer(Block(data), "a", shared_node[0])
    assert (replies.messages, replies.close) == ([], True)


def test_an_acknowledgement_is_never_answered(shared_node: Node) -> None:
    message = b"MSH|^~\\&|LAB|TOKYO-HP|GW|REGION|20260102||ACK^R22^ACK|X|P|2.5\rMSA|AA|M1\r"
    assert answer(Block(message), "a", shared_node[0]) == _v2.Replies([])


def test_a_block_too_large_is_named_and_the_connection_ends(shared_node: Node) -> None:
    replies = answer(Block(lab("BIG"), "too-large"), "a", shared_node[0])
    assert answered(segments(replies)) == "AR 102" and replies.close
    assert segments(replies)[1] == "MSA|AR|BIG"


def test_a_block_without_end_is_not_stored(own: Node) -> None:
    replies = answer(Block(lab("HALF"), "no-end"), "a", own[0])
    assert answered(segments(replies)) == "AE 102" and not replies.close
    assert rows(own[1], "SELECT count(*) FROM resource") == [(0,)]


def test_a_batch_in_one_block_is_answered_message_by_message(own: Node) -> None:
    services, parts = own
    data = (
        b"FHS|^~\\&|LAB\rBHS|^~\\&|LAB\r"
        + lab("M1")
        + lab("M2", order="000000000000102", processing="X")
        + b"BTS|2\rFTS|1\r"
    )
    lines = send(services, data)
    assert [line for line in lines if line.startswith("MSA")] == ["MSA|AA|M1", "MSA|AR|M2"]
    assert rows(parts, "SELECT count(*) FROM resource WHERE type = 'Observation'") == [(1,)]


def test_other_delimiters(own: Node) -> None:
    message = lab("M1", charset="UNICODE UTF-8").decode().replace("|", "!").replace("^", "@").encode()
    lines = send(own[0], message)
    assert answered(lines) == "AA" and lines[0].startswith("MSH|^~\\&|GW|REGION|LAB|TOKYO-HP|")


def test_an_error_of_the_program_is_answered_without_its_words(shared_node: Node) -> None:
    lines = segments(_v2.failed(Block(lab("M1")), RuntimeError("山田花子"), shared_node[0]))
    assert answered(lines) == "AE 207" and "山田" not in "".join(lines)
    assert _v2.failed(Block(b"x"), RuntimeError(), shared_node[0]) == _v2.Replies([], close=True)


@pytest.mark.parametrize("message", [lab("M1"), lab("M2", type_="ZZZ^Z01")])
def test_no_answer_without_its_audit_record(tmp_path: Path, message: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with node(tmp_path) as (services, parts):

        def full(*_: Any, **__: Any) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(parts.writer, "run", full)
        with pytest.raises(OSError, match="disk full"):
            answer(Block(message), "a", services)


def test_random_damage_is_always_answered_or_ends_the_connection(own: Node) -> None:
    services, _ = own
    whole = lab("M1", charset="UNICODE UTF-8")
    for seed in range(150):
        chance = random.Random(seed)
        data = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 9)] = bytes(
                chance.choices(b"|^~\\&\r\xff\x1bA0\x00", k=chance.randint(0, 4))
            )
        replies = answer(Block(bytes(data)), "a", services)
        assert replies.messages or replies.close or replies == _v2.Replies([])
