"""CMS SignedData with one signer, detached or with its content: CAdES signatures and time-stamp tokens
(RFC 5652; RFC 5035 signing-certificate-v2; RFC 3161)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model.signature import FAILED, INDETERMINATE, SignatureProblem
from gateway.services.signatures.keys import verifies
from gateway.services.signatures.trust import Trust, check_time_stamper

MAX_BYTES: Final = 4 * 1024 * 1024
_HASHES: Final = ("sha256", "sha384", "sha512")
_KINDS: Final = {"rsa": "rsa", "ecdsa": "ecdsa-der"}
_MAX_CERTIFICATES: Final = 16


@dataclass(frozen=True, slots=True)
class Signed:
    """A SignedData that was read; nothing of it is verified yet."""

    signer: Any
    """asn1crypto SignerInfo."""
    certificates: tuple[x509.Certificate, ...]
    content: bytes | None
    """None: detached."""
    content_type: str

    @property
    def value(self) -> bytes:
        return bytes(self.signer["signature"].native)


def read(der: bytes) -> Signed:
    """Raises SignatureProblem FORMAT_FAILURE."""
    if len(der) > MAX_BYTES:
        raise _malformed(f"larger than {MAX_BYTES} bytes")
    try:
        info = cms.ContentInfo.load(der, strict=True)
        if info["content_type"].native != "signed_data":
            raise _malformed("no SignedData")
        data = info["content"]
        signers = list(data["signer_infos"])
        if len(signers) != 1:
            raise _malformed(f"{len(signers)} signers where one is read")
        found = [one.chosen.dump() for one in data["certificates"] if one.name == "certificate"]
        if len(found) > _MAX_CERTIFICATES:
            raise _malformed(f"more than {_MAX_CERTIFICATES} certificates")
        inner = data["encap_content_info"]
        # bytes(), not .native: content of another type than data comes parsed.
        content = bytes(inner["content"].contents) if inner["content"].native is not None else None
        certificates = tuple(x509.load_der_x509_certificate(one) for one in found)
        return Signed(signers[0], certificates, content, inner["content_type"].native)
    except (ValueError, TypeError, KeyError) as error:
        raise _malformed("no CMS that can be read") from error


def verify(signed: Signed, content: bytes) -> x509.Certificate:
    """Checks digest, signed attributes and signature value over `content`; returns the signer's certificate, of which
    nothing is believed yet. Raises SignatureProblem."""
    try:
        return _verify(signed, content)
    except (ValueError, TypeError, KeyError) as error:
        raise _malformed("signed attributes that cannot be read") from error


def _verify(signed: Signed, content: bytes) -> x509.Certificate:
    signer = signed.signer
    certificate = _certificate(signed)
    hash_name = signer["digest_algorithm"]["algorithm"].native
    if hash_name not in _HASHES:
        raise SignatureProblem(INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "a digest that is no longer strong")
    attributes = _attributes(signer)
    if not attributes:
        raise _constraint("no signed attributes")
    if attributes.get("content_type") != [signed.content_type]:
        raise _constraint("the signed content type is another")
    if attributes.get("message_digest") != [hashlib.new(hash_name, content).digest()]:
        raise SignatureProblem(FAILED, "HASH_FAILURE", "the document is not the one that was signed")
    _check_meant(attributes, certificate)
    kind, hash_of_value = _method(signer["signature_algorithm"], hash_name)
    # RFC 5652 5.4: signed is the SET OF, not the [0] it is sent as.
    if not verifies(certificate, kind, hash_of_value, signed.value, signer["signed_attrs"].untag().dump()):
        raise SignatureProblem(FAILED, "SIG_CRYPTO_FAILURE", "the signature value does not fit the certificate's key")
    return certificate


def claimed_time(signed: Signed) -> datetime | None:
    found = _attributes(signed.signer).get("signing_time", [])
    return found[0] if len(found) == 1 and isinstance(found[0], datetime) else None


def names_certificate(signed: Signed) -> bool:
    """Whether the signer signed which certificate is meant, which makes a CMS signature a CAdES one."""
    return bool(_attributes(signed.signer).keys() & {"signing_certificate_v2", "signing_certificate"})


def time_stamps(signed: Signed) -> list[bytes]:
    """RFC 3161 tokens over the signature value (id-aa-signatureTimeStampToken)."""
    found: list[bytes] = []
    if not signed.signer["unsigned_attrs"].native:
        return found
    for attribute in signed.signer["unsigned_attrs"]:
        if attribute["type"].native == "signature_time_stamp_token":
            found += [one.dump() for one in attribute["values"]]
    return found


def time_of(token: bytes, stamped: bytes, trust: Trust, now: datetime) -> datetime:
    """genTime of a time-stamp token over `stamped`, when it can be believed. Raises SignatureProblem."""
    signed = read(token)
    if signed.content_type != "tst_info" or signed.content is None:
        raise _malformed("no time-stamp token")
    try:
        info = tsp.TSTInfo.load(signed.content, strict=True)
        imprint = info["message_imprint"]
        hash_name, digest = imprint["hash_algorithm"]["algorithm"].native, imprint["hashed_message"].native
        moment: datetime = info["gen_time"].native.astimezone(UTC)
    except (ValueError, TypeError, KeyError) as error:
        raise _malformed("no time-stamp token that can be read") from error
    if hash_name not in _HASHES or hashlib.new(hash_name, stamped).digest() != digest:
        raise SignatureProblem(FAILED, "HASH_FAILURE", "the time stamp is of something else")
    certificate = verify(signed, signed.content)
    others = [one for one in signed.certificates if one != certificate]
    check_time_stamper(certificate, others, trust, moment, now)
    return moment


# -- parts -------------------------------------------------------------------------------------------------------


def _certificate(signed: Signed) -> x509.Certificate:
    sid = signed.signer["sid"]
    for certificate in signed.certificates:
        if sid.name == "issuer_and_serial_number":
            same = certificate.issuer.public_bytes() == sid.chosen["issuer"].dump()
            if same and certificate.serial_number == sid.chosen["serial_number"].native:
                return certificate
        elif sid.chosen.native == _key_id(certificate):
            return certificate
    raise SignatureProblem(INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", "the signer's certificate is not enclosed")


def _key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _attributes(signer: Any) -> dict[str, list[Any]]:
    """Signed attributes by name. Raises SignatureProblem when one stands twice."""
    found: dict[str, list[Any]] = {}
    for attribute in signer["signed_attrs"] if signer["signed_attrs"].native else ():
        name = attribute["type"].native
        if name in found:
            raise _malformed("a signed attribute that stands twice")
        structured = name in ("signing_certificate_v2", "signing_certificate")
        found[name] = [one if structured else one.native for one in attribute["values"]]
    return found


def _check_meant(attributes: dict[str, list[Any]], certificate: x509.Certificate) -> None:
    """ESS signing-certificate: the first digest is the signer's certificate."""
    der = certificate.public_bytes(Encoding.DER)
    for name, default in (("signing_certificate_v2", "sha256"), ("signing_certificate", "sha1")):
        for value in attributes.get(name, []):
            first = value["certs"][0]
            hash_name = first["hash_algorithm"]["algorithm"].native if name.endswith("v2") else default
            if hash_name not in (*_HASHES, "sha1") or first["cert_hash"].native != hashlib.new(hash_name, der).digest():
                raise _constraint("the signer meant another certificate")


def _method(algorithm: Any, hash_name: str) -> tuple[str, str]:
    """(key kind, hash) of signatureAlgorithm; its hash is that of the digest unless it says another."""
    name = algorithm["algorithm"].native
    if name == "rsassa_pss":
        parameters = algorithm["parameters"]
        said = parameters["hash_algorithm"]["algorithm"].native
        masked = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
        if said != masked or said not in _HASHES:
            raise SignatureProblem(
                INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "PSS parameters that are not read"
            )
        return "pss", said
    if name == "rsassa_pkcs1v15":
        return "rsa", hash_name
    said, _, key = name.partition("_")
    if said not in _HASHES or key not in _KINDS:
        raise SignatureProblem(INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "a signature method not accepted")
    return _KINDS[key], said


def _malformed(text: str) -> SignatureProblem:
    return SignatureProblem(FAILED, "FORMAT_FAILURE", text)


def _constraint(text: str) -> SignatureProblem:
    return SignatureProblem(FAILED, "SIG_CONSTRAINTS_FAILURE", text)
