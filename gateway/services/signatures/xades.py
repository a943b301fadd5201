"""Signatures inside XML: XAdES and plain XML-DSig, one report each (ETSI EN 319 102-1, 5.3 and 5.5)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.codec import xmldsig
from gateway.codec.xml import ANSWER, XmlLimits, parse
from gateway.codec.xmldsig import DS, SIGNED_PROPERTIES, NotAtHand, Reference, WeakAlgorithm, XmlSignature
from gateway.errors import BadInput, Forbidden
from gateway.model.signature import FAILED, INDETERMINATE, PASSED, Covered, SignatureProblem, SignatureReport
from gateway.services.signatures import cms
from gateway.services.signatures.hpki import roles_of
from gateway.services.signatures.keys import verifies
from gateway.services.signatures.trust import Moment, Trust, check_key, check_signer, policies_of

_DIGESTS: Final = xmldsig.DIGESTS | {f"{DS}sha1": "sha1"}
"""SigningCertificate may still name a certificate by SHA-1: a second image of a certificate that also chains to the
root is not within reach, and old signatures have nothing else."""


def check(
    document: bytes,
    trust: Trust,
    now: datetime,
    fetch: Callable[[str], bytes | None] = lambda uri: None,
    limits: XmlLimits = ANSWER,
) -> tuple[SignatureReport, ...]:
    """One report for each signature, in document order; () for a document without one.

    `fetch` gives the bytes of what lies outside. Raises BadInput, LimitExceeded for what is no XML we read.
    """
    root = parse(document, limits)
    return tuple(_check(element, trust, now, fetch) for element in xmldsig.find(root))


@dataclass(slots=True)
class _Seen:
    """What is known when a check ends, however it ends."""

    report: SignatureReport = field(default_factory=lambda: SignatureReport(INDETERMINATE))

    def add(self, **known: object) -> None:
        self.report = replace(self.report, **known)  # type: ignore[arg-type]


def _check(
    element: etree._Element, trust: Trust, now: datetime, fetch: Callable[[str], bytes | None]
) -> SignatureReport:
    seen = _Seen(SignatureReport(INDETERMINATE, checked=now, form="XML-DSig"))
    try:
        _verify(element, trust, now, fetch, seen)
    except SignatureProblem as problem:
        seen.add(indication=problem.indication, sub_indication=problem.sub_indication, reasons=(problem.text,))
    except WeakAlgorithm as error:
        seen.add(sub_indication="CRYPTO_CONSTRAINTS_FAILURE_NO_POE", reasons=(str(error),))
    except Forbidden as error:
        seen.add(indication=FAILED, sub_indication="SIG_CONSTRAINTS_FAILURE", reasons=(str(error),))
    except NotAtHand as error:
        seen.add(sub_indication="SIGNED_DATA_NOT_FOUND", reasons=(str(error),))
    except BadInput as error:
        seen.add(indication=FAILED, sub_indication="FORMAT_FAILURE", reasons=(str(error),))
    else:
        seen.add(indication=PASSED)
    return seen.report


def _verify(
    element: etree._Element, trust: Trust, now: datetime, fetch: Callable[[str], bytes | None], seen: _Seen
) -> None:
    signature = xmldsig.read(element)
    seen.add(signing_time=_claimed(signature), form="XAdES" if signature.signing_certificate else "XML-DSig")
    _check_digests(signature, fetch, seen)
    certificate = _signer(signature)
    seen.add(
        signer=certificate.subject.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        roles=roles_of(certificate),
        policies=policies_of(certificate),
    )
    check_key(certificate)
    kind, hash_name = xmldsig.SIGNATURES[signature.method]
    if not verifies(certificate, kind, hash_name, signature.value, xmldsig.signed_info(signature)):
        raise SignatureProblem(FAILED, "SIG_CRYPTO_FAILURE", "the signature value does not fit the certificate's key")
    proven = _proven(signature, trust, now)
    seen.add(proven_time=proven)
    others = [one for one in _loaded(signature) if one != certificate]
    used = check_signer(certificate, others, trust, Moment(now, proven, seen.report.signing_time))
    seen.add(revocation=used)


def _check_digests(signature: XmlSignature, fetch: Callable[[str], bytes | None], seen: _Seen) -> None:
    root = signature.element.getroottree().getroot()
    found: list[Covered] = []

    def digested(reference: Reference) -> Covered:
        content = xmldsig.covered(signature, reference, fetch)
        if not xmldsig.digest_matches(reference.digest_method, reference.digest, content):
            raise SignatureProblem(FAILED, "HASH_FAILURE", "what is there is not what was signed")
        return Covered(reference.uri, hashlib.sha256(content).hexdigest())

    for reference in signature.references:
        one = digested(reference)
        listed = xmldsig.manifest(signature, reference)
        if reference.type != SIGNED_PROPERTIES and not listed:
            found.append(one)
        found += [digested(entry) for entry in listed]
    uris = {one.reference for one in found}
    whole = "" in uris or any(root.get(name) and f"#{root.get(name)}" in uris for name in ("Id", "ID", "id"))
    seen.add(covered=tuple(found), whole=whole)


def _signer(signature: XmlSignature) -> x509.Certificate:
    """The certificate the signer meant. What nothing that is signed names could have been exchanged."""
    if not signature.certificates:
        raise SignatureProblem(INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", "the signature encloses no certificate")
    certificates = _loaded(signature)
    if signature.signing_certificate:
        meant = signature.signing_certificate[0]
        if (hash_name := _DIGESTS.get(meant.method)) is None:
            raise WeakAlgorithm("a certificate digest that is not accepted")
        for certificate in certificates:
            if hashlib.new(hash_name, certificate.public_bytes(Encoding.DER)).digest() == meant.digest:
                return certificate
        raise SignatureProblem(FAILED, "SIG_CONSTRAINTS_FAILURE", "the signer meant another certificate")
    info = signature.element.find(f"{{{DS}}}KeyInfo")
    if info is None or not any(reference.uri == f"#{info.get('Id')}" for reference in signature.references):
        raise SignatureProblem(
            INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", "nothing that is signed says which certificate was meant"
        )
    return certificates[0]


def _loaded(signature: XmlSignature) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(der) for der in signature.certificates]
    except ValueError:
        raise BadInput("a certificate that cannot be read") from None


def _claimed(signature: XmlSignature) -> datetime | None:
    """SigningTime; without a zone, or no time at all, it claims nothing."""
    try:
        moment = datetime.fromisoformat(signature.signing_time)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _proven(signature: XmlSignature, trust: Trust, now: datetime) -> datetime | None:
    """The earliest time a time stamp proves; one that cannot be believed proves nothing and does no harm."""
    times: list[datetime] = []
    value = signature.element.find(f"{{{DS}}}SignatureValue")
    assert value is not None
    for algorithm, token in signature.time_stamps:
        try:
            times.append(cms.time_of(token, xmldsig.canonical(value, algorithm), trust, now))
        except SignatureProblem:
            continue
    return min(times, default=None)
