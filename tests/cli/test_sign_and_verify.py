"""`musubi sign` and `musubi verify`: what a person at a terminal gets."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from gateway.cli._frame import run
from tests.services.signatures.pki import Issued, World, hc_role, world


@pytest.fixture(scope="module")
def pki() -> World:
    return world(datetime.now(UTC))


@pytest.fixture(scope="module")
def doctor(pki: World) -> Issued:
    start = pki.now - timedelta(days=30)
    return pki.issuing.issue("Dr Test", start=start, role=hc_role("Medical Doctor"))


@pytest.fixture
def folder(tmp_path: Path, pki: World, doctor: Issued, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's folder with [signatures], and a signer's files."""
    (tmp_path / "roots.pem").write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    for number, authority in enumerate((pki.root, pki.issuing)):
        (tmp_path / f"{number}.crl").write_bytes(authority.crl(pki.now - timedelta(hours=1)).public_bytes(Encoding.DER))
    chain = (doctor.certificate, pki.issuing.certificate)
    (tmp_path / "signer.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    key = doctor.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "musubi.toml").write_text('[signatures]\nroots_file = "roots.pem"\ncrl_files = ["0.crl", "1.crl"]\n')
    (tmp_path / "rx.xml").write_text("<rx><drug>アムロジピン</drug></rx>", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    (one,) = json.loads(capsys.readouterr().out)["signatures"]
    return one  # type: ignore[no-any-return]


SIGN = ["--cert", "signer.pem", "--key", "key.pem", "--pin-file", "password"]


def test_signed_and_verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sign", "rx.xml", *SIGN, "--out", "signed.xml"]) == 0
    capsys.readouterr()
    assert run(["verify", "signed.xml", "--type", "57833-6", "--json"]) == 0
    report = said(capsys)
    assert (report["indication"], report["roles"], report["role_fits"]) == ("TOTAL-PASSED", ["Medical Doctor"], True)
    assert run(["sign", "rx.xml", *SIGN, "--out", "signed.xml"]) == 2  # never overwritten


def test_detached(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sign", "rx.xml", *SIGN, "--detached", "--out", "rx.p7s"]) == 0
    assert run(["verify", "rx.xml", "--signature", "rx.p7s"]) == 0
    (folder / "rx.xml").write_text("<rx/>")
    assert run(["verify", "rx.xml", "--signature", "rx.p7s"]) == 1
    assert "HASH_FAILURE" in capsys.readouterr().out


def test_a_profession_that_may_not_sign_this(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["sign", "rx.xml", *SIGN, "--out", "signed.xml"])
    capsys.readouterr()
    assert run(["verify", "signed.xml", "--type", "29551-9", "--json"]) == 1
    report = said(capsys)
    assert (report["indication"], report["role_fits"]) == ("TOTAL-PASSED", False)


def test_unsigned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "rx.xml"]) == 1
    assert "UNSIGNED" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["sign", "rx.xml", "--cert", "signer.pem", "--out", "o"],
        ["sign", "rx.xml", "--cert", "signer.pem", "--key", "key.pem", "--out", "o"],  # no password
        ["sign", "rx.xml", "--cert", "rx.xml", "--key", "key.pem", "--pin-file", "password", "--out", "o"],
        ["verify", "nowhere.xml"],
    ],
)
def test_wrong_usage(words: list[str], folder: Path) -> None:
    assert run(words) == 2
    assert not (folder / "o").exists()


def test_roots_that_are_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "roots.pem").write_text("not PEM")
    assert run(["verify", "rx.xml"]) == 2
    assert "no PEM certificates" in capsys.readouterr().err


SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.mark.skipif(not SOFTHSM.exists() or shutil.which("softhsm2-util") is None, reason="SoftHSM is not installed")
def test_on_a_token(folder: Path, pki: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pkcs11", reason="the extra `pkcs11` is not installed")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    issued = pki.issuing.issue("Dr Card", key=rsa.generate_private_key(65537, 2048), start=pki.now - timedelta(days=1))
    (folder / "p8.pem").write_bytes(issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    chain = (issued.certificate, pki.issuing.certificate)
    (folder / "card.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    for words in (
        ["--init-token", "--free", "--label", "hpki", "--so-pin", "1234", "--pin", "5678"],
        ["--import", "p8.pem", "--token", "hpki", "--label", "sign", "--id", "01", "--pin", "5678"],
    ):
        subprocess.run(["softhsm2-util", *words], cwd=folder, check=True, capture_output=True, timeout=60)
    (folder / "pin").write_text("5678")
    (folder / "wrong").write_text("0000")
    card = ["--cert", "card.pem", "--module", str(SOFTHSM), "--token", "hpki", "--label", "sign", "--pin-file"]
    assert run(["sign", "rx.xml", *card, "pin", "--out", "signed.xml"]) == 0
    assert run(["verify", "signed.xml"]) == 0
    assert run(["sign", "rx.xml", *card, "wrong", "--out", "other.xml"]) == 3
    assert not (folder / "other.xml").exists()
