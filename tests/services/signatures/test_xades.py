"""Signatures inside XML: what passes, what each defect is called, and what another implementation says."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from gateway.codec import xmldsig
from gateway.codec.xmldsig import DS, INCLUSIVE, XADES
from gateway.errors import BadInput, LimitExceeded
from gateway.model.signature import FAILED, INDETERMINATE, PASSED, SignatureReport
from gateway.services.signatures import xades
from gateway.services.signatures.signing import sign_xml
from tests.services.signatures.pki import START, Issued, World, hc_role, world

DOCUMENT = (
    '<?xml version="1.0"?><rx xmlns="urn:x" xml:lang="ja"><drug>アムロジピン</drug><dose>1.50</dose></rx>'.encode()
)


@pytest.fixture(scope="module")
def pki() -> World:
    return world()


@pytest.fixture(scope="module")
def doctor(pki: World) -> Issued:
    return pki.issuing.issue("Dr Test", role=hc_role("Medical Doctor"))


@pytest.fixture(scope="module")
def signed(pki: World, doctor: Issued) -> bytes:
    return sign_xml(DOCUMENT, pki.signer(doctor), pki.now, "sig-1")


def check(document: bytes, pki: World, **changed: object) -> SignatureReport:
    (report,) = xades.check(document, pki.trust(**changed), pki.now)
    return report


def outcome(report: SignatureReport) -> tuple[str, str]:
    return report.indication, report.sub_indication


def test_a_signed_document_passes_and_names_its_signer(signed: bytes, pki: World, doctor: Issued) -> None:
    report = check(signed, pki)
    assert outcome(report) == (PASSED, "")
    assert (report.form, report.whole, report.roles) == ("XAdES", True, ("Medical Doctor",))
    assert report.signer == "CN=Dr Test,C=JP"
    assert int(report.serial, 16) == doctor.certificate.serial_number
    assert report.signing_time == pki.now and report.proven_time is None
    assert report.revocation.startswith("CN=Test HPKI CA,C=JP ")


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_elliptic_curves_and_rsa(curve: ec.EllipticCurve, pki: World) -> None:
    for key in (ec.generate_private_key(curve), rsa.generate_private_key(65537, 2048)):
        issued = pki.issuing.issue("Dr Other", key=key)
        assert check(sign_xml(DOCUMENT, pki.signer(issued), pki.now, "s"), pki).indication == PASSED


def test_no_signature_is_no_report(pki: World) -> None:
    assert xades.check(DOCUMENT, pki.trust(), pki.now) == ()


def test_the_second_signature_covers_the_first(signed: bytes, pki: World) -> None:
    pharmacist = pki.issuing.issue("Ph Test", role=hc_role("Pharmacist", explicit=False))
    both = sign_xml(signed, pki.signer(pharmacist), pki.now, "sig-2")
    first, second = xades.check(both, pki.trust(), pki.now)
    # The first covered the document as it was: a signature that came later changes it.
    assert outcome(first) == (FAILED, "HASH_FAILURE")
    assert outcome(second) == (PASSED, "") and second.roles == ("Pharmacist",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((b"1.50", b"15.0"), (FAILED, "HASH_FAILURE")),
        ((b"SigningTime>2025", b"SigningTime>2024"), (FAILED, "HASH_FAILURE")),
        ((b"xml-exc-c14n#", b"xml-exc-c14n#WithComments"), (FAILED, "SIG_CONSTRAINTS_FAILURE")),
        ((b"xmldsig-more#ecdsa-sha256", b"xmldsig-more#hmac-sha256"), (INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")),
        ((b"xmlenc#sha256", b"xmldsig#sha1"), (INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")),
        ((b'URI=""', b'URI="#xpointer(/)"'), (FAILED, "SIG_CONSTRAINTS_FAILURE")),
        ((b'URI=""', b'URI="#nowhere"'), (FAILED, "FORMAT_FAILURE")),
        ((b'URI=""', b'URI="file:///etc/passwd"'), (INDETERMINATE, "SIGNED_DATA_NOT_FOUND")),
        ((b'#sig-1-properties"', b'#sig-1"'), (FAILED, "FORMAT_FAILURE")),
        ((b"</ds:SignatureValue>", b"!</ds:SignatureValue>"), (FAILED, "FORMAT_FAILURE")),
        ((b"<ds:SignedInfo>", b"<ds:SignedInfo/><ds:SignedInfo>"), (FAILED, "FORMAT_FAILURE")),
    ],
)  # fmt: skip
def test_a_changed_byte_and_what_it_is_called(
    change: tuple[bytes, bytes], expected: tuple[str, str], signed: bytes, pki: World
) -> None:
    assert change[0] in signed
    assert outcome(check(signed.replace(*change), pki)) == expected


def test_another_signature_value(signed: bytes, pki: World) -> None:
    value = base64.b64encode(b"\x01" * 64)
    forged = re.sub(rb"<ds:SignatureValue>[^<]+<", b"<ds:SignatureValue>" + value + b"<", signed)
    assert outcome(check(forged, pki)) == (FAILED, "SIG_CRYPTO_FAILURE")


def test_an_xslt_transform_is_refused(signed: bytes, pki: World) -> None:
    enveloped = f'Algorithm="{DS}enveloped-signature"'.encode()
    xslt = b'Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"'
    assert outcome(check(signed.replace(enveloped, xslt), pki)) == (FAILED, "SIG_CONSTRAINTS_FAILURE")


def test_two_elements_with_the_referenced_id(signed: bytes, pki: World) -> None:
    doubled = signed.replace(b"<drug>", b'<drug ID="sig-1-properties">', 1)
    # The document changed too; the ambiguity is what has to be found when only the properties are referenced.
    report = check(doubled, pki)
    assert report.indication == FAILED
    root = etree.fromstring(doubled)
    with pytest.raises(BadInput, match="2 elements"):
        xmldsig.element_of(root, "sig-1-properties")


def test_properties_of_a_stranger_prove_nothing(signed: bytes, pki: World) -> None:
    """SignedProperties moved out of the signature: covered by the digest, but not what this signature is about."""
    root = etree.fromstring(signed)
    signature = xmldsig.find(root)[0]
    moved = signature.find(f"{{{DS}}}Object")
    assert moved is not None
    root.append(moved)
    assert outcome(check(etree.tostring(root), pki)) == (FAILED, "FORMAT_FAILURE")


def test_another_certificate_of_the_same_key(signed: bytes, pki: World, doctor: Issued) -> None:
    """The same key certified with a better role: the signer signed which certificate was meant."""
    better = pki.issuing.issue("Dr Test", key=doctor.key, role=hc_role("Director of Hospital"))
    old, new = (base64.b64encode(one.certificate.public_bytes(Encoding.DER)) for one in (doctor, better))
    assert outcome(check(signed.replace(old, new), pki)) == (FAILED, "SIG_CONSTRAINTS_FAILURE")


def test_plain_xml_dsig_names_no_certificate(pki: World, doctor: Issued) -> None:
    from signxml import XMLSigner

    key = doctor.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = [doctor.certificate.public_bytes(Encoding.PEM).decode(), pki.issuing.certificate.public_bytes(Encoding.PEM).decode()]  # fmt: skip
    root = XMLSigner(signature_algorithm="ecdsa-sha256", c14n_algorithm=xmldsig.EXCLUSIVE).sign(
        etree.fromstring(DOCUMENT), key=key, cert=chain
    )
    report = check(etree.tostring(root), pki)
    assert outcome(report) == (INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND") and report.form == "XML-DSig"


# -- time and revocation -----------------------------------------------------------------------------------------


def stamped(signed: bytes, pki: World, at: datetime) -> bytes:
    """The same signature with an RFC 3161 time stamp over its value."""
    root = etree.fromstring(signed)
    signature = xmldsig.find(root)[0]
    value, properties = signature.find(f"{{{DS}}}SignatureValue"), signature.find(f".//{{{XADES}}}QualifyingProperties")
    assert value is not None and properties is not None
    token = base64.b64encode(pki.stamp(xmldsig.canonical(value, INCLUSIVE), at)).decode()
    properties.append(
        etree.fromstring(
            f'<x:UnsignedProperties xmlns:x="{XADES}"><x:UnsignedSignatureProperties><x:SignatureTimeStamp>'
            f"<x:EncapsulatedTimeStamp>{token}</x:EncapsulatedTimeStamp></x:SignatureTimeStamp>"
            f"</x:UnsignedSignatureProperties></x:UnsignedProperties>"
        )
    )
    return etree.tostring(root)


def late(pki: World) -> World:
    """Three years on: the signer's certificate has expired."""
    return replace(pki, now=START + timedelta(days=1100))


def test_expired_without_a_time_stamp_cannot_be_said(signed: bytes, pki: World) -> None:
    assert outcome(check(signed, late(pki))) == (INDETERMINATE, "OUT_OF_BOUNDS_NO_POE")


def test_expired_with_a_time_stamp_of_then_passes(signed: bytes, pki: World) -> None:
    report = check(stamped(signed, pki, pki.now), late(pki))
    assert outcome(report) == (PASSED, "") and report.proven_time == pki.now


def test_a_time_stamp_of_something_else_proves_nothing(signed: bytes, pki: World) -> None:
    good = stamped(signed, pki, pki.now)
    other = base64.b64encode(pki.stamp(b"something else", pki.now))
    swapped = re.sub(rb"EncapsulatedTimeStamp>[^<]+<", b"EncapsulatedTimeStamp>" + other + b"<", good)
    report = check(swapped, late(pki))
    assert outcome(report) == (INDETERMINATE, "OUT_OF_BOUNDS_NO_POE") and report.proven_time is None


def test_a_time_stamp_of_an_unknown_authority_proves_nothing(signed: bytes, pki: World) -> None:
    report = check(stamped(signed, pki, pki.now), late(pki), tsa_roots=())
    assert outcome(report) == (INDETERMINATE, "OUT_OF_BOUNDS_NO_POE")


@pytest.mark.parametrize(
    ("revoked_days", "stamp", "expected"),
    [
        (-10, False, (FAILED, "REVOKED")),  # claims to be younger than the revocation
        (5, False, (INDETERMINATE, "REVOKED_NO_POE")),
        (5, True, (PASSED, "")),
        (-10, True, (FAILED, "REVOKED")),
    ],
)
def test_revocation_and_what_is_proven(
    revoked_days: int, stamp: bool, expected: tuple[str, str], signed: bytes, pki: World, doctor: Issued
) -> None:
    later = replace(pki, now=pki.now + timedelta(days=20))
    since = pki.now + timedelta(days=revoked_days)
    crls = (later.root.crl(later.now), later.issuing.crl(later.now, {doctor.certificate.serial_number: since}))
    document = stamped(signed, pki, pki.now) if stamp else signed
    assert outcome(check(document, later, crls=crls)) == expected


def test_a_stolen_key_was_bad_before_it_was_reported(signed: bytes, pki: World, doctor: Issued) -> None:
    later = replace(pki, now=pki.now + timedelta(days=20))
    revoked = {doctor.certificate.serial_number: pki.now + timedelta(days=5)}
    listed = later.issuing.crl(later.now, revoked, invalid=pki.now - timedelta(days=30))
    report = check(stamped(signed, pki, pki.now), later, crls=(later.root.crl(later.now), listed))
    assert outcome(report) == (FAILED, "REVOKED")


@pytest.mark.parametrize("lists", ["none", "stale", "of the issuing CA only", "forged"])
def test_without_current_lists_nothing_is_said(lists: str, signed: bytes, pki: World) -> None:
    old = pki.now - timedelta(days=60)
    stranger = world().issuing.crl(pki.now)  # same name, another key
    crls = {
        "none": (),
        "stale": (pki.root.crl(old), pki.issuing.crl(old)),
        "of the issuing CA only": (pki.issuing.crl(pki.now),),
        "forged": (pki.root.crl(pki.now), stranger),
    }[lists]
    assert outcome(check(signed, pki, crls=crls)) == (INDETERMINATE, "TRY_LATER")


# -- whom one believes -------------------------------------------------------------------------------------------


def test_unknown_root(signed: bytes, pki: World) -> None:
    assert outcome(check(signed, pki, roots=(world().root.certificate,))) == (
        INDETERMINATE,
        "NO_CERTIFICATE_CHAIN_FOUND",
    )
    assert outcome(check(signed, pki, roots=())) == (INDETERMINATE, "NO_CERTIFICATE_CHAIN_FOUND")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"usage": "digital_signature"}, (FAILED, "CHAIN_CONSTRAINTS_FAILURE")),
        ({"policy": "1.2.392.100495.1.5.1.1.2.1"}, (FAILED, "CHAIN_CONSTRAINTS_FAILURE")),
        ({"start": datetime(2025, 12, 1, tzinfo=UTC)}, (FAILED, "NOT_YET_VALID")),
        ({"days": 100}, (FAILED, "EXPIRED")),
        ({"key": rsa.generate_private_key(65537, 1024)}, (INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")),
    ],
)
def test_certificates_that_may_not_sign(wanted: dict[str, object], expected: tuple[str, str], pki: World) -> None:
    issued = pki.issuing.issue("Dr Wrong", **wanted)  # type: ignore[arg-type]
    assert outcome(check(sign_xml(DOCUMENT, pki.signer(issued), pki.now, "s"), pki)) == expected


def test_a_signer_is_no_authority(pki: World, doctor: Issued) -> None:
    """A chain through an end entity's certificate is none."""
    from tests.services.signatures.pki import Authority

    rogue = Authority("Rogue CA", pki.issuing)
    rogue.certificate = doctor.certificate
    rogue.name, rogue.key = doctor.certificate.subject, doctor.key  # type: ignore[assignment]
    issued = rogue.issue("Dr Nobody", role=hc_role("Medical Doctor"))
    report = check(sign_xml(DOCUMENT, pki.signer(issued), pki.now, "s"), pki, intermediates=(doctor.certificate,))
    assert outcome(report) == (INDETERMINATE, "NO_CERTIFICATE_CHAIN_FOUND")


def test_roles_of_another_scheme_are_none(pki: World) -> None:
    issued = pki.issuing.issue("Dr Foreign", role=hc_role("Medical Doctor", scheme="1.2.3.4"))
    assert check(sign_xml(DOCUMENT, pki.signer(issued), pki.now, "s"), pki).roles == ()


def test_limits(signed: bytes, pki: World) -> None:
    root = etree.fromstring(signed)
    signature = xmldsig.find(root)[0]
    for _ in range(xmldsig.MAX_SIGNATURES):
        root.append(etree.fromstring(etree.tostring(signature)))
    with pytest.raises(LimitExceeded):
        xades.check(etree.tostring(root), pki.trust(), pki.now)
    with pytest.raises(BadInput, match="DOCTYPE"):
        xades.check(b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', pki.trust(), pki.now)


def test_another_implementation_agrees(signed: bytes, doctor: Issued) -> None:
    """signxml reads what we sign, with the key we signed it with."""
    from signxml import SignatureConfiguration, XMLVerifier

    config = SignatureConfiguration(expect_references=2, verification_time=datetime(2025, 6, 1, tzinfo=UTC))
    found = XMLVerifier().verify(
        signed, x509_cert=doctor.certificate.public_bytes(Encoding.PEM).decode(), expect_config=config
    )
    assert "アムロジピン".encode() in found[0].signed_data  # type: ignore[index]


def test_inclusive_forms_inherit_xml_attributes() -> None:
    root = etree.fromstring('<a xmlns:n="urn:n" xml:lang="ja" xml:id="x"><b Id="b"><c/></b></a>')
    inner = xmldsig.element_of(root, "b")
    assert xmldsig.canonical(inner, INCLUSIVE) == b'<b xmlns:n="urn:n" Id="b" xml:lang="ja"><c></c></b>'
    assert xmldsig.canonical(inner, xmldsig.EXCLUSIVE) == b'<b Id="b"><c></c></b>'
