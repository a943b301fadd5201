"""Detached signatures: what passes, what each defect is called, and what OpenSSL says."""

import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.model.signature import FAILED, INDETERMINATE, PASSED
from gateway.services.signatures import cades
from gateway.services.signatures.signing import sign_detached
from tests.services.signatures.pki import START, Issued, World, hc_role, world

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
DOCUMENT = "退院時サマリー".encode() + bytes(range(256))


def openssl(folder: Path, *words: str) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pki() -> World:
    return world()


@pytest.fixture(scope="module", params=["ec", "rsa"])
def doctor(pki: World, request: pytest.FixtureRequest) -> Issued:
    key = rsa.generate_private_key(65537, 2048) if request.param == "rsa" else None
    return pki.issuing.issue("Dr Test", key=key, role=hc_role("Medical Doctor"))


@pytest.fixture(scope="module")
def signature(pki: World, doctor: Issued) -> bytes:
    return sign_detached(DOCUMENT, pki.signer(doctor), pki.now)


def test_passes(signature: bytes, pki: World) -> None:
    report = cades.check(signature, DOCUMENT, pki.trust(), pki.now)
    assert (report.indication, report.form, report.whole) == (PASSED, "CAdES", True)
    assert report.roles == ("Medical Doctor",) and report.signing_time == pki.now


def test_another_document(signature: bytes, pki: World) -> None:
    report = cades.check(signature, DOCUMENT + b" ", pki.trust(), pki.now)
    assert (report.indication, report.sub_indication) == (FAILED, "HASH_FAILURE")


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_damaged(cut: int, signature: bytes, pki: World) -> None:
    report = cades.check(signature[:cut], DOCUMENT, pki.trust(), pki.now)
    assert (report.indication, report.sub_indication) == (FAILED, "FORMAT_FAILURE")


def test_every_changed_byte_is_noticed(signature: bytes, pki: World) -> None:
    """No changed byte of the signed attributes or the value leaves a signature that passes, and none makes the check
    stumble."""
    trust = pki.trust()
    signer = asn1_cms.ContentInfo.load(signature)["content"]["signer_infos"][0]
    places: list[int] = []
    for part in (signer["signed_attrs"].contents, signer["signature"].contents):
        places += range(signature.index(part), signature.index(part) + len(part))
    for place in places:
        broken = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        assert cades.check(broken, DOCUMENT, trust, pki.now).indication != PASSED, place


@needs_openssl
@pytest.mark.parametrize("options", [[], ["-cades"]])
def test_what_openssl_signs(options: list[str], pki: World, doctor: Issued, tmp_path: Path) -> None:
    """A plain CMS names no certificate in what is signed; a CAdES one does."""
    (tmp_path / "d").write_bytes(DOCUMENT)
    (tmp_path / "c.pem").write_bytes(doctor.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "i.pem").write_bytes(pki.issuing.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "k.pem").write_bytes(doctor.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    openssl(tmp_path, "cms", "-sign", "-binary", "-in", "d", "-signer", "c.pem", "-inkey", "k.pem", "-certfile", "i.pem",
            "-md", "sha256", "-outform", "DER", "-out", "s.der", *options)  # fmt: skip
    # OpenSSL writes the time of this machine; a year later than the PKI's present at least.
    world_now = replace(pki, now=START + timedelta(days=600))
    report = cades.check((tmp_path / "s.der").read_bytes(), DOCUMENT, world_now.trust(), world_now.now)
    if options:
        assert report.form == "CAdES" and report.sub_indication in ("", "EXPIRED")
    else:
        assert (report.indication, report.sub_indication) == (INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND")
        assert report.form == "CMS"


def test_time_stamp(pki: World, doctor: Issued) -> None:
    info = asn1_cms.ContentInfo.load(sign_detached(DOCUMENT, pki.signer(doctor), pki.now))
    signer = info["content"]["signer_infos"][0]
    token = asn1_cms.ContentInfo.load(pki.stamp(signer["signature"].native, pki.now))
    signer["unsigned_attrs"] = asn1_cms.CMSAttributes(
        [asn1_cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [token]})]
    )
    later = replace(pki, now=START + timedelta(days=1100))
    report = cades.check(info.dump(), DOCUMENT, later.trust(), later.now)
    assert (report.indication, report.proven_time) == (PASSED, pki.now)


@needs_openssl
def test_openssl_agrees(signature: bytes, pki: World, tmp_path: Path) -> None:
    (tmp_path / "s.der").write_bytes(signature)
    (tmp_path / "d").write_bytes(DOCUMENT)
    (tmp_path / "root.pem").write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    openssl(tmp_path, "cms", "-verify", "-binary", "-inform", "DER", "-in", "s.der", "-content", "d", "-CAfile", "root.pem",
            "-attime", str(int(pki.now.timestamp())), "-purpose", "any", "-out", "out", "-cades")  # fmt: skip
    assert (tmp_path / "out").read_bytes() == DOCUMENT
