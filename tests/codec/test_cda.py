"""Whose a CDA is, read as it passes by."""

import pytest

from gateway.codec.cda import MAX_HEAD, CdaHead, CdaReader

CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <id root="1.2.3" extension="doc-1"/>
  <code code="18842-5" codeSystem="2.16.840.1.113883.6.1" displayName="退院時サマリー"/>
  <title>退院時<!-- a comment -->サマリー</title>
  <effectiveTime value="20240601120000+0900"/>
  <recordTarget><patientRole>
    <id root="1.2.4" extension="0000012345"/><id nullFlavor="NI"/><id root="1.2.5" extension="M-1"/>
    <patient><name>結び 太郎</name></patient>
  </patientRole></recordTarget>
  <author><time value="20240601"/></author>
  <component><structuredBody/></component>
</ClinicalDocument>"""


def head_of(data: bytes, piece: int = 7) -> CdaHead | None:
    reader = CdaReader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    reader.close()
    return reader.head


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_the_head_is_read_whatever_the_pieces(piece: int) -> None:
    head = head_of(CDA.encode(), piece)
    assert head is not None and head.problem == ""
    assert head.patients == [(("1.2.4", "0000012345"), ("1.2.5", "M-1"))]
    assert (head.title, head.effective_time) == ("退院時サマリー", "20240601120000+0900")
    assert head.code == ("18842-5", "2.16.840.1.113883.6.1", "退院時サマリー")


def test_other_charsets_and_prefixes() -> None:
    prefixed = CDA.replace("<", "<c:").replace("<c:/", "</c:").replace("<c:?", "<?").replace("<c:!", "<!")
    prefixed = prefixed.replace("xmlns=", "xmlns:c=").replace("UTF-8", "UTF-16")
    head = head_of(prefixed.encode("utf-16"))
    assert head is not None and head.patients[0][0][1] == "0000012345"


@pytest.mark.parametrize(
    "data",
    [b"", b"%PDF-1.7", b"<?xml version='1.0'?><Bundle/>", b"<ClinicalDocument xmlns='urn:other'/>", b"\x00\x01\x02"],
)
def test_what_is_no_cda(data: bytes) -> None:
    assert head_of(data) is None


def test_nothing_is_read_behind_the_patient() -> None:
    reader = CdaReader()
    reader.feed(CDA.encode().partition(b"<component>")[0])
    assert reader.done
    reader.feed(b"<<<< not XML at all")
    assert reader.head is not None and reader.head.problem == ""


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (CDA.replace("<Clin", '<!DOCTYPE x [<!ENTITY a "b">]><Clin', 1).encode(), "DOCTYPE"),
        (CDA.partition("<patientRole>")[0].encode(), "ends before"),
        (CDA.replace("<patientRole>", "<patientRole", 1).encode(), "well-formed"),
        (
            CDA.replace("<recordTarget>", "<text>" + "x" * (MAX_HEAD + 200_000) + "</text><recordTarget>").encode(),
            "first bytes",
        ),
    ],
)
def test_a_head_that_cannot_be_read_says_why(data: bytes, problem: str) -> None:
    head = head_of(data, 65536)
    assert head is not None and problem in head.problem and "12345" not in head.problem
    assert head.patients == []
