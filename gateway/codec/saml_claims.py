"""What a verified assertion says (SAML 2.0 Core; XUA attributes of ITI TF-2: 3.40.4.1.2 and XSPA): read, nothing defaulted.

Works on the element parsed from the signed bytes, and on nothing else.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from gateway.codec import certificates
from gateway.codec.saml_fault import fault
from gateway.codec.saml_shape import DS, SAML
from gateway.errors import GatewayError

LONGEST: Final = timedelta(hours=4)
HL7: Final = "urn:hl7-org:v3"
_CM: Final = "urn:oasis:names:tc:SAML:2.0:cm:"
_XSPA: Final = "urn:oasis:names:tc:xspa:1.0:subject:"
SUBJECT_ID: Final = f"{_XSPA}subject-id"
ORGANIZATION: Final = f"{_XSPA}organization"
ORGANIZATION_ID: Final = f"{_XSPA}organization-id"
HOME: Final = "urn:ihe:iti:xca:2010:homeCommunityId"
ROLE: Final = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE: Final = f"{_XSPA}purposeofuse"
PATIENT: Final = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
CONSENT: Final = "urn:ihe:iti:bppc:2007:docid"
POLICY: Final = "urn:ihe:iti:xua:2012:acp"
LICENCE: Final = f"{_XSPA}npi"
BREAK_GLASS: Final = "urn:musubi:attribute:btg-id"
"""Ours: the id that `$break-glass` gave (docs/enforced.md)."""

_CONDITIONS, _SUBJECT, _AUTHN, _STATEMENT, _RESTRICTION, _AUDIENCE, _ONE_TIME, _NAME_ID, _CONFIRMATION = (
    f"{{{SAML}}}{name}"
    for name in (
        "Conditions",
        "Subject",
        "AuthnStatement",
        "AttributeStatement",
        "AudienceRestriction",
        "Audience",
        "OneTimeUse",
        "NameID",
        "SubjectConfirmation",
    )
)
_CONFIRMATION_DATA, _CONTEXT, _CLASS, _ATTRIBUTE, _VALUE = (
    f"{{{SAML}}}{name}"
    for name in ("SubjectConfirmationData", "AuthnContext", "AuthnContextClassRef", "Attribute", "AttributeValue")
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,12})?Z", re.ASCII)
_MAX_VALUE: Final = 1000
"""Characters of one value that we keep."""


class Coded(NamedTuple):
    """A CE value of an attribute."""

    code: str
    system: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the claims are held against."""

    now: datetime
    skew: timedelta
    issuer: str
    audience: str
    recipients: frozenset[str]
    confirmations: frozenset[str]
    lifetime: timedelta
    holds_key: Callable[[etree._Element], bool]
    """Whether a KeyInfo names the key of this connection."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A checked assertion. Every value was in the signed bytes."""

    id: str
    issuer: str
    name_id: str
    sp_provided_id: str
    confirmation: str
    """bearer, holder-of-key or sender-vouches"""
    authenticated: datetime
    context: str
    """AuthnContextClassRef."""
    not_on_or_after: datetime
    one_time: bool
    user_name: str
    organization_id: str
    home: str
    role: Coded
    purpose: Coded
    organization: str = ""
    patient: str = ""
    consent: str = ""
    policy: str = ""
    licence: str = ""
    break_glass: str = ""


def read_claims(assertion: etree._Element, limits: Limits) -> Assertion:
    """Raises SecurityFault."""
    parts = _children(assertion)
    begins, ends, one_time = _conditions(assertion, _only(parts, _CONDITIONS), limits)
    name_id, sp_provided_id, confirmation = _subject(_only(parts, _SUBJECT), ends - begins, limits)
    authenticated, context = _authentication(_only(parts, _AUTHN), limits)
    values = _attributes(parts.get(_STATEMENT, []))
    return Assertion(
        id=str(assertion.get("ID")),
        issuer=limits.issuer,
        name_id=name_id,
        sp_provided_id=sp_provided_id,
        confirmation=confirmation,
        authenticated=authenticated,
        context=context,
        not_on_or_after=ends,
        one_time=one_time,
        user_name=_text(values, SUBJECT_ID),
        organization_id=_text(values, ORGANIZATION_ID),
        home=_text(values, HOME),
        role=_coded(values, ROLE, "Role"),
        purpose=_coded(values, PURPOSE, "PurposeOfUse"),
        organization=_text(values, ORGANIZATION, required=False),
        patient=_text(values, PATIENT, required=False),
        consent=_text(values, CONSENT, required=False),
        policy=_text(values, POLICY, required=False),
        licence=_text(values, LICENCE, required=False),
        break_glass=_text(values, BREAK_GLASS, required=False),
    )


def time_of(text: str | None, where: str) -> datetime:
    """An xs:dateTime in UTC (SAML Core 1.3.3). Raises SecurityFault."""
    stripped = (text or "").strip()
    try:
        if not _TIME.fullmatch(stripped):
            raise ValueError
        return datetime.fromisoformat(stripped)
    except ValueError:
        raise fault("InvalidSecurityToken", f"{where} is no time in UTC") from None


# -- Conditions ---------------------------------------------------------------------------------------------------


def _conditions(
    assertion: etree._Element, conditions: etree._Element, limits: Limits
) -> tuple[datetime, datetime, bool]:
    """(NotBefore, NotOnOrAfter, OneTimeUse)"""
    # The skew is put to now, never to what was sent: 9999-12-31 is a date people write, and a minute more is none.
    earliest, latest = limits.now - limits.skew, limits.now + limits.skew
    if time_of(assertion.get("IssueInstant"), "IssueInstant") > latest:
        raise fault("InvalidSecurityToken", "issued in the future")
    begins = time_of(conditions.get("NotBefore"), "NotBefore")
    ends = time_of(conditions.get("NotOnOrAfter"), "NotOnOrAfter")
    if ends <= earliest:
        raise fault("MessageExpired", "the assertion is over")
    if begins > latest:
        raise fault("InvalidSecurityToken", "the assertion is not valid yet")
    if not timedelta() < ends - begins <= LONGEST:
        raise fault("InvalidSecurityToken", "valid for longer than is taken")
    restricted, one_time = False, False
    for condition in conditions:
        if condition.tag == _RESTRICTION:
            # Each restriction has to name us; within one, any audience may (SAML Core 2.5.1.4).
            if limits.audience not in [one.text for one in condition.iterchildren(_AUDIENCE)]:
                raise fault("InvalidSecurityToken", "for another audience")
            restricted = True
        elif condition.tag == _ONE_TIME:
            one_time = True
        else:
            raise fault("InvalidSecurityToken", "a condition that is not known")
    if not restricted:
        raise fault("InvalidSecurityToken", "no audience")
    return begins, ends, one_time


# -- Subject and authentication -----------------------------------------------------------------------------------


def _subject(subject: etree._Element, lifetime: timedelta, limits: Limits) -> tuple[str, str, str]:
    parts = _children(subject)
    name = _only(parts, _NAME_ID)
    if len(name) or not (name.text or "").strip() or len(name.text or "") > _MAX_VALUE:
        raise fault("InvalidSecurityToken", "no NameID")
    first: Exception | None = None
    for confirmation in parts.get(_CONFIRMATION, []):
        try:
            return name.text or "", str(name.get("SPProvidedID", "")), _confirm(confirmation, lifetime, limits)
        except GatewayError as error:
            first = first or error
    raise first or fault("InvalidSecurityToken", "no SubjectConfirmation")


def _confirm(confirmation: etree._Element, lifetime: timedelta, limits: Limits) -> str:
    """The method by which the bearer of the message is the subject. Raises SecurityFault."""
    method = str(confirmation.get("Method", "")).removeprefix(_CM)
    if method not in limits.confirmations or not str(confirmation.get("Method")).startswith(_CM):
        raise fault("InvalidSecurityToken", "a confirmation that is not taken")
    found = list(confirmation.iterchildren(_CONFIRMATION_DATA))
    if len(found) > 1 or (not found and method != "sender-vouches"):
        raise fault("InvalidSecurityToken", "not one SubjectConfirmationData")
    for data in found:
        _confirmation_times(data, limits, required=method == "bearer")
        if data.get("Recipient") is not None and data.get("Recipient") not in limits.recipients:
            raise fault("InvalidSecurityToken", "for another recipient")
        if method == "holder-of-key" and not any(limits.holds_key(one) for one in data.findall(f"{{{DS}}}KeyInfo")):
            raise fault("FailedAuthentication", "held by another key")
    if method == "bearer" and lifetime > limits.lifetime:
        raise fault("InvalidSecurityToken", "a bearer assertion valid for longer than is taken")
    return method


def _confirmation_times(data: etree._Element, limits: Limits, *, required: bool) -> None:
    begins, ends = data.get("NotBefore"), data.get("NotOnOrAfter")
    if begins is not None and time_of(begins, "NotBefore") > limits.now + limits.skew:
        raise fault("InvalidSecurityToken", "the confirmation is not valid yet")
    if (required or ends is not None) and time_of(ends, "NotOnOrAfter") <= limits.now - limits.skew:
        raise fault("MessageExpired", "the confirmation is over")


def _authentication(statement: etree._Element, limits: Limits) -> tuple[datetime, str]:
    """When and how the person proved who they are."""
    at = time_of(statement.get("AuthnInstant"), "AuthnInstant")
    if at > limits.now + limits.skew:
        raise fault("InvalidSecurityToken", "authenticated in the future")
    ends = statement.get("SessionNotOnOrAfter")
    if ends is not None and time_of(ends, "SessionNotOnOrAfter") <= limits.now - limits.skew:
        raise fault("MessageExpired", "the session is over")
    classes = _children(_only(_children(statement), _CONTEXT)).get(_CLASS, [])
    if len(classes) != 1 or len(classes[0]) or not (classes[0].text or "").strip():
        raise fault("InvalidSecurityToken", "not one AuthnContextClassRef")
    return at, (classes[0].text or "").strip()


def holder_keys(information: etree._Element) -> frozenset[str]:
    """Hashes of the public keys a KeyInfo names: certificates and RSA key values. What cannot be read names none."""
    found: set[str] = set()
    for element in information.iter(f"{{{DS}}}X509Certificate"):
        try:
            found.add(certificates.key_hash(certificates.read_der(b64decode(element.text or ""))))
        except (GatewayError, ValueError):
            continue
    for value in information.iter(f"{{{DS}}}RSAKeyValue"):
        try:
            numbers = [
                int.from_bytes(b64decode(value.findtext(f"{{{DS}}}{name}") or ""), "big")
                for name in ("Exponent", "Modulus")
            ]
            key = rsa.RSAPublicNumbers(*numbers).public_key()
        except ValueError:
            continue
        found.add(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest())
    return frozenset(found)


# -- attributes ---------------------------------------------------------------------------------------------------


def _attributes(statements: list[etree._Element]) -> dict[str, list[etree._Element]]:
    """Name -> its values. A Name that stands twice is refused: which of the two counts would be a guess."""
    found: dict[str, list[etree._Element]] = {}
    for statement in statements:
        for attribute in statement:
            if attribute.tag != _ATTRIBUTE:
                raise fault("FailedAuthentication", "an attribute that cannot be read")
            name = str(attribute.get("Name", ""))
            if not name or name in found:
                raise fault("FailedAuthentication", "an attribute that stands twice")
            found[name] = list(attribute)
            if any(one.tag != _VALUE for one in found[name]):
                raise fault("FailedAuthentication", "an attribute that cannot be read")
    return found


def _text(values: dict[str, list[etree._Element]], name: str, *, required: bool = True) -> str:
    if name not in values and not required:
        return ""
    found = values.get(name, [])
    if len(found) != 1 or len(found[0]):
        raise fault("FailedAuthentication", f"not one value of {name}")
    text = (found[0].text or "").strip()
    if not text or len(text) > _MAX_VALUE:
        raise fault("FailedAuthentication", f"no usable value of {name}")
    return text


def _coded(values: dict[str, list[etree._Element]], name: str, element: str) -> Coded:
    """The one code of an attribute. LENIENT: NHIN's older senders put code and codeSystem on AttributeValue itself."""
    found = values.get(name, [])
    if len(found) != 1:
        raise fault("FailedAuthentication", f"not one value of {name}")
    inside = list(found[0])
    if len(inside) > 1 or (inside and inside[0].tag != f"{{{HL7}}}{element}"):
        raise fault("FailedAuthentication", f"not one code in {name}")
    coded = inside[0] if inside else found[0]
    code, system = str(coded.get("code", "")), str(coded.get("codeSystem", ""))
    if not code or not system or len(code) > _MAX_VALUE or len(system) > _MAX_VALUE:
        raise fault("FailedAuthentication", f"no code in {name}")
    return Coded(code, system.removeprefix("urn:oid:"))


def _children(element: etree._Element) -> dict[str, list[etree._Element]]:
    found: dict[str, list[etree._Element]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(child)
    return found


def _only(parts: dict[str, list[etree._Element]], tag: str) -> etree._Element:
    found = parts.get(tag, [])
    if len(found) != 1:
        raise fault("InvalidSecurityToken", f"not one {tag.rpartition('}')[2]}")
    return found[0]
