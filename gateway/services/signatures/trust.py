"""Is this certificate one we believe, for this use, at that time? (RFC 5280 6; ETSI EN 319 102-1, 5.2.6.)

Chains are built by the cryptography library. What it leaves to the caller is here: certificate policies, key usage,
revocation by lists, and what each failure is called. Nothing is fetched: lists and certificates come from files.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtensionOID

from gateway.model.signature import FAILED, INDETERMINATE, Indication, SignatureProblem

SIGNING: Final = "content_commitment"
"""Key usage nonRepudiation, as RFC 5280 calls it now: a signature certificate, not one for authentication."""
TIME_STAMPING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.8")
MAX_PATH: Final = 8
_MIN_RSA: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
# A list that covers only some certificates or reasons cannot say that a certificate is good.
_PARTIAL: Final = (ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.DELTA_CRL_INDICATOR)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a community believes; made from files at start-up."""

    roots: tuple[x509.Certificate, ...]
    """Of signers (HPKI)."""
    intermediates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    tsa_roots: tuple[x509.Certificate, ...] = ()
    """Of time-stamping authorities."""
    policies: frozenset[str] = frozenset()
    """OIDs of which a signer's certificate has to carry one; empty: any."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a signature is looked at, and what is known about when it was made."""

    now: datetime
    proven: datetime | None = None
    """It existed by then: a verified time stamp says so."""
    claimed: datetime | None = None

    @property
    def best(self) -> datetime:
        """Best-signature-time: the earliest moment at which the signature is known to exist."""
        return self.proven or self.now


def check_signer(
    certificate: x509.Certificate, others: Sequence[x509.Certificate], trust: Trust, moment: Moment
) -> str:
    """Raises SignatureProblem; returns which revocation list was used.

    `others`: certificates that came with the signature, believed only as links of a chain.
    """
    check_key(certificate)
    _check_use(certificate, trust.policies)
    path = _path(certificate, others, trust.roots, trust, moment)
    _check_period(certificate, moment)
    return _check_revocation(path, trust.crls, moment)


def check_time_stamper(
    certificate: x509.Certificate, others: Sequence[x509.Certificate], trust: Trust, at: datetime, now: datetime
) -> None:
    """A certificate that stamped at `at`. Raises SignatureProblem."""
    check_key(certificate)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        usage = None
    if usage is None or not usage.critical or list(usage.value) != [TIME_STAMPING]:
        raise _failed("SIG_CONSTRAINTS_FAILURE", "the time stamp's certificate is not for time stamping alone")
    moment = Moment(now, proven=at)
    path = _path(certificate, others, trust.tsa_roots, trust, moment)
    _check_period(certificate, moment)
    _check_revocation(path, trust.crls, moment)


def check_key(certificate: x509.Certificate) -> None:
    """Raises SignatureProblem for a key or a signature algorithm that is no longer strong."""
    try:
        key, algorithm = certificate.public_key(), certificate.signature_hash_algorithm
    except (ValueError, x509.UnsupportedGeneralNameType) as error:
        raise _failed("FORMAT_FAILURE", "the certificate's key cannot be read") from error
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    )
    if not strong or (algorithm is not None and algorithm.name in ("md5", "sha1")):
        raise _unknown("CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "the certificate's key or algorithm is too weak")


def _check_use(certificate: x509.Certificate, policies: frozenset[str]) -> None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        if not getattr(usage, SIGNING):
            raise _failed("CHAIN_CONSTRAINTS_FAILURE", "the certificate's key usage is not nonRepudiation")
        if policies and not policies & set(policies_of(certificate)):
            raise _failed("CHAIN_CONSTRAINTS_FAILURE", "the certificate carries none of the accepted policies")
    except x509.ExtensionNotFound:
        raise _failed("CHAIN_CONSTRAINTS_FAILURE", "the certificate has no key usage") from None
    except ValueError as error:
        raise _failed("FORMAT_FAILURE", "the certificate's extensions cannot be read") from error


def policies_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """OIDs of the certificate's policies; empty when there are none or they cannot be read."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(policy.policy_identifier.dotted_string for policy in found)


def _path(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    trust: Trust,
    moment: Moment,
) -> list[x509.Certificate]:
    """From the certificate up to a root, at a time when all of them were valid."""
    if not roots:
        raise _unknown("NO_CERTIFICATE_CHAIN_FOUND", "no root certificates are configured")
    # A certificate out of its own period is judged by _check_period, which knows what was proven; the chain is asked
    # about at the nearest moment at which the certificate itself was valid.
    at = min(max(moment.best, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
    any_extensions = verification.ExtensionPolicy.permit_all()
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .time(at.astimezone(UTC).replace(tzinfo=None))
        .max_chain_depth(MAX_PATH)
        .extension_policies(ee_policy=any_extensions, ca_policy=verification.ExtensionPolicy.webpki_defaults_ca())
        .build_client_verifier()
    )
    try:
        return list(verifier.verify(certificate, [*others, *trust.intermediates]).chain)
    except (verification.VerificationError, ValueError):
        raise _unknown("NO_CERTIFICATE_CHAIN_FOUND", "no chain leads to a configured root") from None


def _check_period(certificate: x509.Certificate, moment: Moment) -> None:
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    said = moment.proven or moment.claimed
    if said is not None and said < starts:
        raise _failed("NOT_YET_VALID", "signed before the certificate was valid")
    if said is not None and said > ends:
        raise _failed("EXPIRED", "signed after the certificate had expired")
    if not starts <= moment.best <= ends:
        raise _unknown(
            "OUT_OF_BOUNDS_NO_POE", "nothing proves that the signature was made while the certificate was valid"
        )


def _check_revocation(
    path: Sequence[x509.Certificate], crls: Iterable[x509.CertificateRevocationList], moment: Moment
) -> str:
    """The lists of each certificate's issuer, root excluded. Returns the list used for the signer."""
    lists = tuple(crls)
    used = ""
    for certificate, issuer in pairwise(path):
        crl = _newest(lists, issuer, moment)
        if crl is None:
            raise _unknown("TRY_LATER", "no current revocation list of the issuer is at hand")
        _check_listed(certificate, crl, moment)
        used = used or f"{crl.issuer.rfc4514_string()} {crl.last_update_utc.isoformat()}"
    return used


def _newest(
    crls: Iterable[x509.CertificateRevocationList], issuer: x509.Certificate, moment: Moment
) -> x509.CertificateRevocationList | None:
    """A whole list, signed by the issuer, that is current or was made after the signature provably existed."""
    found = [crl for crl in crls if crl.issuer == issuer.subject and _good(crl, issuer, moment)]
    return max(found, key=lambda crl: crl.last_update_utc, default=None)


def _good(crl: x509.CertificateRevocationList, issuer: x509.Certificate, moment: Moment) -> bool:
    ends = crl.next_update_utc
    current = crl.last_update_utc <= moment.now and ends is not None and moment.now <= ends
    later = moment.proven is not None and moment.proven <= crl.last_update_utc <= moment.now
    if not (current or later) or any(extension.oid in _PARTIAL for extension in crl.extensions):
        return False
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        signed = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (x509.ExtensionNotFound, InvalidSignature, TypeError, ValueError):
        return False
    return signed and usage.crl_sign


def _check_listed(certificate: x509.Certificate, crl: x509.CertificateRevocationList, moment: Moment) -> None:
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return
    since = entry.revocation_date_utc
    with suppress(x509.ExtensionNotFound):  # a stolen key was bad before the day somebody reported it
        since = min(since, entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc)
    if moment.proven is not None and moment.proven < since:
        return
    said = moment.proven or moment.claimed
    if said is not None and said >= since:
        raise _failed("REVOKED", "the certificate was revoked before the signature was made")
    raise _unknown("REVOKED_NO_POE", "the certificate is revoked, and nothing proves that the signature is older")


def _failed(sub_indication: str, text: str) -> SignatureProblem:
    return _problem(FAILED, sub_indication, text)


def _unknown(sub_indication: str, text: str) -> SignatureProblem:
    return _problem(INDETERMINATE, sub_indication, text)


def _problem(indication: Indication, sub_indication: str, text: str) -> SignatureProblem:
    return SignatureProblem(indication, sub_indication, text)
