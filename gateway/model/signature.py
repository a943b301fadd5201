"""What the check of a signature comes to; words and meaning as ETSI EN 319 102-1, 5.1.3 has them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

Indication = Literal["TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED", "UNSIGNED"]

PASSED: Indication = "TOTAL-PASSED"
INDETERMINATE: Indication = "INDETERMINATE"
FAILED: Indication = "TOTAL-FAILED"
UNSIGNED: Indication = "UNSIGNED"

Form = Literal["XAdES", "XML-DSig", "CAdES", "CMS"]


class SignatureProblem(Exception):
    """Why a signature is not TOTAL-PASSED. The text names parts of a signature or certificate, never of a document."""

    def __init__(self, indication: Indication, sub_indication: str, text: str) -> None:
        super().__init__(text)
        self.indication, self.sub_indication, self.text = indication, sub_indication, text


class Covered(NamedTuple):
    """One run of bytes whose digest the signature holds."""

    reference: str
    """`` the whole document, `#id` one element of it, a URI of something else; `content` for a detached CMS."""
    sha256: str
    """Of the bytes the digest was made of, after canonicalization: what a reader may rely on."""


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """One signature. What is empty could not be read."""

    indication: Indication
    sub_indication: str = ""
    reasons: tuple[str, ...] = ()
    form: Form | str = ""
    covered: tuple[Covered, ...] = ()
    whole: bool = False
    """The whole document is covered, but for the signature itself."""
    signer: str = ""
    """Subject of the certificate (RFC 4514)."""
    serial: str = ""
    """Of the certificate, hexadecimal."""
    roles: tuple[str, ...] = ()
    """hcRole (ISO 17090-2) words of the certificate: Medical Doctor, Pharmacist ..."""
    policies: tuple[str, ...] = ()
    """OIDs of the certificate's policies."""
    signing_time: datetime | None = None
    """As the signer claims it."""
    proven_time: datetime | None = None
    """genTime of a time stamp that was verified: the signature existed by then."""
    revocation: str = ""
    """Which list said that the certificate was not revoked: issuer and thisUpdate."""
    checked: datetime | None = None


UNSIGNED_REPORT = SignatureReport(UNSIGNED)
