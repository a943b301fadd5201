"""Document Digital Signature: a signature document over documents of the registry."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import BadInput
from gateway.model.signature import FAILED, INDETERMINATE, PASSED
from gateway.services.signatures import dsg
from tests.services.signatures.pki import World, hc_role, world

DOCUMENTS = {"1.2.392.1": "処方箋".encode(), "1.2.392.2^x": b"\x00\x01"}


@pytest.fixture(scope="module")
def pki() -> World:
    return world()


@pytest.fixture(scope="module")
def signature(pki: World) -> bytes:
    doctor = pki.issuing.issue("Dr Test", role=hc_role("Medical Doctor"))
    return dsg.sign(DOCUMENTS, pki.signer(doctor), pki.now)


def test_passes_over_all_documents(signature: bytes, pki: World) -> None:
    (report,) = dsg.check(signature, DOCUMENTS.get, pki.trust(), pki.now)
    assert report.indication == PASSED and report.roles == ("Medical Doctor",)
    assert [one.reference for one in report.covered] == ["urn:oid:1.2.392.1", "urn:oid:1.2.392.2^x"]


def test_a_document_that_changed(signature: bytes, pki: World) -> None:
    changed = DOCUMENTS | {"1.2.392.2^x": b"\x00\x02"}
    (report,) = dsg.check(signature, changed.get, pki.trust(), pki.now)
    assert (report.indication, report.sub_indication) == (FAILED, "HASH_FAILURE")


def test_a_document_that_is_elsewhere(signature: bytes, pki: World) -> None:
    (report,) = dsg.check(signature, {"1.2.392.1": DOCUMENTS["1.2.392.1"]}.get, pki.trust(), pki.now)
    assert (report.indication, report.sub_indication) == (INDETERMINATE, "SIGNED_DATA_NOT_FOUND")


def test_a_manifest_that_changed(signature: bytes, pki: World) -> None:
    (report,) = dsg.check(signature.replace(b"1.2.392.1", b"1.2.392.9"), DOCUMENTS.get, pki.trust(), pki.now)
    assert (report.indication, report.sub_indication) == (FAILED, "HASH_FAILURE")


def test_nothing_to_sign(pki: World) -> None:
    with pytest.raises(BadInput):
        dsg.sign({}, pki.signer(pki.issuing.issue("Dr Test")), pki.now)


def test_another_implementation_agrees(signature: bytes, pki: World) -> None:
    """signxml checks the signature's own references; what the manifest lists is for us to check."""
    from lxml import etree
    from signxml import SignatureConfiguration, XMLVerifier

    from gateway.codec import xmldsig

    der = xmldsig.read(etree.fromstring(signature)).certificates[0]
    from cryptography import x509

    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
    config = SignatureConfiguration(expect_references=2, verification_time=pki.now)
    assert XMLVerifier().verify(signature, x509_cert=pem, expect_config=config)
