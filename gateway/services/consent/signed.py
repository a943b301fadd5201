"""Consent signed with a JPKI card (公的個人認証): the person signs the exact text shown; who may check the certificate is
another party (署名検証者), so checking is a port. The simulator below checks against its own throw-away CA, for trials.

Kept: the signed bytes, signature, certificate and the verifier's answer, in Consent.sourceAttachment. The card's serial
number is no patient id, and no My Number is kept.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gateway.errors import Forbidden, InvalidParameter
from gateway.model.caller import Caller
from gateway.model.clock import Clock
from gateway.model.consent import Consent
from gateway.services.consent.service import ConsentDesk

Outcome = Literal["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"]


class Verified(NamedTuple):
    """What a verifier says (names of EN 319 102-1)."""

    outcome: Outcome
    reason: str
    """Sub-indication: HASH_FAILURE, REVOKED, NO_CERTIFICATE_CHAIN_FOUND ..."""
    at: str
    """When it was checked, instant UTC."""


class Verifier(Protocol):
    """A certified verifier, or a platform operator that asks one."""

    def verify(self, data: bytes, signature: bytes, certificate: bytes) -> Verified:
        """`certificate`: DER."""


def canonical(consent: Mapping[str, Any], shown_sha256: str) -> bytes:
    """What the card signs: the Consent and the hash of what was shown, as UTF-8 JSON with sorted keys."""
    return json.dumps(
        {"consent": consent, "shown": shown_sha256}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()


def record_signed(
    desk: ConsentDesk, verifier: Verifier, data: bytes, signature: bytes, certificate: bytes, caller: Caller
) -> Consent:
    """Records the consent in `data` (of `canonical`). Raises Forbidden unless the signature passed: a consent that may
    not be the person's opens nothing."""
    answer = verifier.verify(data, signature, certificate)
    if answer.outcome != "TOTAL-PASSED":
        raise Forbidden("the signature of the consent was not confirmed", f"signature {answer.outcome} {answer.reason}")
    try:
        said = orjson.loads(data)
        consent = dict(said["consent"])
    except (ValueError, KeyError, TypeError):
        raise InvalidParameter("the signed bytes are no consent") from None
    evidence = {
        "signed": base64.b64encode(data).decode(),
        "signature": base64.b64encode(signature).decode(),
        "certificate": base64.b64encode(certificate).decode(),
        "answer": answer._asdict(),
    }
    kept = orjson.dumps(evidence, option=orjson.OPT_SORT_KEYS)
    consent["sourceAttachment"] = {"contentType": "application/json", "data": base64.b64encode(kept).decode()}
    return desk.record(
        consent, caller, source="jpki", evidence=hashlib.sha256(kept).hexdigest(), transaction="consent-signed"
    )


@dataclass(frozen=True, slots=True)
class Simulator:
    """Verifier for trials: one CA, a set of revoked serials. Not a certified verifier, and says nothing of real cards."""

    authority: x509.Certificate
    clock: Clock
    revoked: frozenset[int] = frozenset()

    def verify(self, data: bytes, signature: bytes, certificate: bytes) -> Verified:
        now = self.clock.now().astimezone(UTC)
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            given = x509.load_der_x509_certificate(certificate)
            given.verify_directly_issued_by(self.authority)
        except (ValueError, TypeError, InvalidSignature):
            return Verified("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND", at)
        if reason := self._standing(given, now):
            return Verified("TOTAL-FAILED", reason, at)
        key = given.public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            else:
                return Verified("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", at)
        except InvalidSignature:
            return Verified("TOTAL-FAILED", "SIG_CRYPTO_FAILURE", at)
        return Verified("TOTAL-PASSED", "", at)

    def _standing(self, given: x509.Certificate, now: datetime) -> str:
        if now < given.not_valid_before_utc:
            return "NOT_YET_VALID"
        if now > given.not_valid_after_utc:
            return "EXPIRED"
        return "REVOKED" if given.serial_number in self.revoked else ""
