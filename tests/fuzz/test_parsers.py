"""Damaged inputs of the parsers that stand at an edge: what they cannot read is BadInput, in bounded time, and nothing else.

Short: a few hundred cases, the same each time. `--long`: 20,000 a parser.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.codec import charset, er7, fhir, index_feed, jahistc, mllp, soap, transaction_storage, xml
from gateway.codec.document import facts_of
from gateway.codec.head import order_keys, read_head
from gateway.errors import GatewayError
from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml
from tests.fuzz.damage import damaged

ROOT = Path(__file__).parents[1]
MESSAGE = (ROOT / "golden" / "OML-11" / "two-specimens" / "in.hl7").read_bytes()
BUNDLE = (ROOT / "golden" / "OML-11" / "two-specimens" / "bundle.json").read_bytes()
NOTEBOOK = (ROOT.parent / "fixtures" / "samples" / "notebook.csv").read_bytes()
HEAD = b"1310000001 0001000037      20240717 OML-11 000000000000001 20240717093000000 01 INS\r\n"
INDEX = (
    ",".join(index_feed.COLUMNS)
    + "\nSTD01,1310000001,0001000037,20240717,OML-11,000000000000001,INS,01,20240717093000000,"
    + "000/100/0001000037/20240717/OML-11,0001000037_20240717_OML-11_000000000000001_20240717093000000_01_1,"
    + "2024-07-17 09:30:01\n"
).encode()
CDA = (
    '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="9"/>'
    '<code code="57133-1" codeSystem="2.16.840.1.113883.6.1"/><title>診療情報提供書</title><effectiveTime value="20240717"/>'
    '<recordTarget><patientRole><id root="1.2.4" extension="0001000037"/><patient><name>架空 花子</name></patient>'
    "</patientRole></recordTarget><component><nonXMLBody><text>x</text></nonXMLBody></component></ClinicalDocument>"
).encode()
ENVELOPE = soap.request(
    "urn:ihe:iti:2007:RegistryStoredQuery", "urn:uuid:1", "http://127.0.0.1/xds", b"<a xmlns='urn:a'/>"
)
FHIR_XML = FhirXml(Validator.default().tables)


def _er7(data: bytes) -> None:
    for offset, part in charset.split_messages(data):
        er7.parse(charset.decode(part, offset))


def _stream(data: bytes) -> None:
    decoder = mllp.Decoder(1_000_000)
    for at in range(0, len(data), 97):
        decoder.feed(data[at : at + 97])


def _notebook(data: bytes) -> None:
    found = jahistc.parse(data)
    jahistc.render(found.records, version=found.version % 100, direction="1")


def _index(data: bytes) -> None:
    list(index_feed.csv_rows(data.decode("utf-8", "replace").splitlines(keepends=True)))


PARSERS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "cda": (CDA, lambda data: facts_of(data, "document.xml")),
    "er7": (MESSAGE, _er7),
    "fhir-json": (BUNDLE, fhir.parse),
    "fhir-xml": (FHIR_XML.render(fhir.parse(BUNDLE)), FHIR_XML.parse),
    "head": (MESSAGE, lambda data: (read_head(data), order_keys(data))),
    "index": (INDEX, _index),
    "jahistc": (NOTEBOOK, _notebook),
    "mllp": (mllp.frame(MESSAGE) * 2, _stream),
    "soap": (ENVELOPE, lambda data: soap.read_answer(data, xml.REQUEST)),
    "transaction": (HEAD + MESSAGE + HEAD + MESSAGE, transaction_storage.records),
}


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_parser_reads_or_says_why_not(name: str, long: bool) -> None:
    whole, parse = PARSERS[name]
    parse(whole)
    refused = 0
    for seed in range(20_000 if long else 200):
        data = damaged(whole, seed)
        began = time.perf_counter()
        try:
            parse(data)
        except GatewayError as error:
            refused += 1
            assert str(error) and "架空" not in str(error) and "見本" not in str(error), (name, seed)
        assert time.perf_counter() - began < 5.0, (name, seed, len(data))
    if name in ("fhir-json", "fhir-xml", "soap", "jahistc"):
        assert refused, "no damage at all was noticed"
