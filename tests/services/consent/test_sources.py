"""Consent by BPPC document and by a signed text, recorded at the desk of a whole node."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.errors import BadInput, Forbidden, InvalidParameter
from gateway.model.clock import Clock
from gateway.services.consent.bppc import SERVICE_EVENT, consent_of, is_acknowledgement
from gateway.services.consent.forms import Filled
from gateway.services.consent.forms import consent_of as form
from gateway.services.consent.provisions import Unenforceable
from gateway.services.consent.signed import Simulator, canonical, record_signed
from tests.policy_parts import ARC, HOSPITAL, Region, caller, cx, patient, region


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Region]:
    with region(tmp_path) as made:
        yield made


def acknowledgement(policy: str = f"{ARC}.10.20.2", period: str = "", template: str = SERVICE_EVENT) -> bytes:
    return f"""<ClinicalDocument xmlns="urn:hl7-org:v3">
      <effectiveTime value="20260401120000+0900"/>
      <recordTarget><patientRole><id root="{HOSPITAL}" extension="1"/></patientRole></recordTarget>
      <documentationOf><serviceEvent classCode="ACT" moodCode="EVN"><templateId root="{template}"/>
        <id root="1.2.3"/><code code="{policy}" codeSystem="1.2.3"/>{period}</serviceEvent></documentationOf>
    </ClinicalDocument>""".encode()


def seen(node: Region) -> int:
    return len(node.ids(caller(), f"/Observation?patient.identifier={cx(patient('1'))}"))


def test_an_acknowledgement_opens_what_its_policy_says(node: Region) -> None:
    desk = node.node.trust().consents
    assert is_acknowledgement("urn:ihe:iti:bppc:2007") and not is_acknowledgement(
        "urn:ihe:iti:xds:2017:mimeTypeSufficient"
    )
    desk.record(consent_of(acknowledgement()), caller(), source="bppc", transaction="ITI-41")
    assert seen(node) == 8
    desk.record(consent_of(acknowledgement(f"{ARC}.10.20.4")), caller(), source="bppc", transaction="ITI-41")
    assert seen(node) == 0  # of one instant the stricter wins


def test_an_acknowledgement_holds_for_its_period(node: Region) -> None:
    period = '<effectiveTime><low value="20260401"/><high value="20260402"/></effectiveTime>'
    made = consent_of(acknowledgement(f"{ARC}.10.20.3", period))
    assert made["provision"]["type"] == "deny" and made["provision"]["provision"][0]["purpose"] == [{"code": "BTG"}]
    node.node.trust().consents.record(consent_of(acknowledgement(period=period)), caller(), source="bppc")
    assert seen(node) == 8
    node.watch.passes(days=3)
    assert seen(node) == 0


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"<x/>", BadInput), (b"no xml", BadInput), (acknowledgement(template="1.2"), BadInput),
        (acknowledgement("1.2.3"), Unenforceable), (b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>', BadInput),
    ],
)  # fmt: skip
def test_what_is_no_acknowledgement_is_refused(document: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        consent_of(document)


# -- a card --------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def certificate(subject: str, key: Any, issuer: str, issuer_key: Any, days: int = 365) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(issuer_key, hashes.SHA256())
    )


CA_KEY, CARD_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
CA = certificate("ca", CA_KEY, "ca", CA_KEY)
CARD = certificate("card", CARD_KEY, "ca", CA_KEY).public_bytes(Encoding.DER)
CLOCK = Clock(lambda: NOW)
TEXT = canonical(
    form("participation", Filled({"system": f"urn:oid:{HOSPITAL}", "value": "1"}, "2026-04-01")), "ab" * 32
)


def signature(data: bytes = TEXT, key: Any = CARD_KEY) -> bytes:
    return bytes(key.sign(data, ec.ECDSA(hashes.SHA256())))


def test_a_signed_consent_counts_and_its_evidence_is_kept(node: Region) -> None:
    desk = node.node.trust().consents
    kept = record_signed(desk, Simulator(CA, CLOCK), TEXT, signature(), CARD, caller("DESK", "OPERATIONS"))
    assert (kept.source, len(kept.evidence)) == ("jpki", 64) and b"sourceAttachment" in kept.body
    assert seen(node) == 8


@pytest.mark.parametrize(
    ("data", "signed", "card", "verifier"),
    [
        (TEXT + b" ", signature(), CARD, Simulator(CA, CLOCK)),
        (TEXT, signature(key=CA_KEY), CARD, Simulator(CA, CLOCK)),
        (TEXT, signature(), CARD, Simulator(CA, CLOCK, frozenset({7}))),
        (TEXT, signature(), CARD, Simulator(certificate("ca", CARD_KEY, "ca", CARD_KEY), CLOCK)),
        (TEXT, signature(), b"no certificate", Simulator(CA, CLOCK)),
        (TEXT, signature(), CARD, Simulator(CA, Clock(lambda: NOW + timedelta(days=999)))),
        (TEXT, signature(), CARD, Simulator(CA, Clock(lambda: NOW - timedelta(days=999)))),
    ],
)
def test_what_may_not_be_the_persons_opens_nothing(
    node: Region, data: bytes, signed: bytes, card: bytes, verifier: Simulator
) -> None:
    with pytest.raises(Forbidden):
        record_signed(node.node.trust().consents, verifier, data, signed, card, caller())
    assert seen(node) == 0


def test_signed_bytes_that_are_no_consent(node: Region) -> None:
    with pytest.raises(InvalidParameter):
        record_signed(node.node.trust().consents, Simulator(CA, CLOCK), b"{}", signature(b"{}"), CARD, caller())
