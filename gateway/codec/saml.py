"""SAML 2.0 assertions in the SOAP header (XUA, ITI TF-2: 3.40): one message in, one checked assertion out, or a fault.

The order of the checks is the point. The shape is looked at first (codec/saml_shape.py: one Security, one assertion, one
signature, nothing hidden beside them), then the signature is verified over the serialised assertion alone with a
certificate that the configuration pins to the issuer, and from there on only what was parsed again from the signed
bytes is read (codec/saml_claims.py). The received tree is not consulted for a single value. What is missing is
refused and never filled in.

Which node and which community the assertion may speak for, and whether it was seen before, is not this module's to
know: services/people.py.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidInput
from signxml.verifier import SignatureConfiguration, XMLVerifier

from gateway.codec import certificates
from gateway.codec.saml_claims import Assertion, Limits, holder_keys, read_claims, time_of
from gateway.codec.saml_fault import SecurityFault, fault
from gateway.codec.saml_shape import ASSERTION, ISSUER, Found, locate
from gateway.codec.soap import WSU

__all__ = ["Assertion", "Connection", "Issuer", "SecurityFault", "check"]

_METHODS: Final = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
_DIGESTS: Final = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_of_thread = threading.local()
_MAX_BYTES: Final = 256 * 1024
"""Of the assertion. A real one has 5 to 20 kB."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may vouch for people, and with which keys."""

    name: str
    certificates: tuple[x509.Certificate, ...]
    """Two while a key is being changed."""
    audience: str
    """What its assertions call us."""
    confirmations: frozenset[str] = frozenset({"bearer", "holder-of-key"})
    lifetime: timedelta = timedelta(hours=1)
    """Longest validity of a bearer assertion. Never more than four hours."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What the assertion is held against."""

    recipients: frozenset[str]
    """URLs that mean this endpoint."""
    certificate: x509.Certificate | None
    """Of the node at the other end; None: no TLS."""


def _none_revoked(certificate: x509.Certificate) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose assertions count, and by whose clock."""

    issuers: Mapping[str, Issuer]
    now: datetime
    """Aware."""
    skew: timedelta = timedelta(seconds=60)
    revoked: Callable[[x509.Certificate], bool] = field(default=_none_revoked)


def check(root: etree._Element, trust: Trust, connection: Connection) -> Assertion:
    """The one assertion of an envelope. Raises SecurityFault; nothing of a refused message is given out."""
    found = locate(root)
    issuer, signed = _verify(found, trust)
    limits = Limits(
        now=trust.now,
        skew=trust.skew,
        issuer=issuer.name,
        audience=issuer.audience,
        recipients=connection.recipients | {issuer.audience},
        confirmations=issuer.confirmations,
        lifetime=issuer.lifetime,
        holds_key=lambda information: _holds(information, connection.certificate),
    )
    assertion = read_claims(signed, limits)
    _check_timestamp(found.security, trust)
    return assertion


def _verify(found: Found, trust: Trust) -> tuple[Issuer, etree._Element]:
    """The issuer and the element parsed again from the bytes that its key signed."""
    data = etree.tostring(found.assertion, with_tail=False)
    if len(data) > _MAX_BYTES:
        raise fault("InvalidSecurityToken", "an assertion larger than is read")
    name = _text_of_one(found.assertion, ISSUER)
    issuer = trust.issuers.get(name)
    # An unknown issuer costs as much as a wrong signature and is answered alike: against any key of ours, in vain.
    if issuer is None:
        trusted = next((one.certificates[:1] for one in trust.issuers.values()), ())
    else:
        trusted = _named_certificates(found.certificates, issuer.certificates)
    signed: etree._Element | None = None
    signer: x509.Certificate | None = None
    # Also a message whose KeyInfo names none of ours is verified, in vain: a quick answer would say that we know the issuer.
    for certificate in trusted or (issuer.certificates[:1] if issuer else ()):
        if signed is None and (signed := _signed_by(data, certificate, trust.now)) is not None:
            signer = certificate
    # The very key that signed has to count: of two, the one taken back must not live on beside the new one.
    counts = (
        signer is not None
        and signer in trusted
        and certificates.valid_at(signer, trust.now)
        and not trust.revoked(signer)
    )
    if issuer is None or signed is None or not counts:
        raise fault("FailedCheck", "unknown issuer, wrong signature, or a key that does not count now")
    if signed.tag != ASSERTION or signed.get("ID") != found.id or _text_of_one(signed, ISSUER) != issuer.name:
        raise fault("FailedCheck", "what is signed is another element")
    return issuer, signed


def _named_certificates(
    named: tuple[bytes, ...], trusted: tuple[x509.Certificate, ...]
) -> tuple[x509.Certificate, ...]:
    """The trusted certificates to try. Those a KeyInfo holds are a hint: one that is not trusted refuses the message."""
    if not named:
        return trusted
    known = {one.public_bytes(Encoding.DER): one for one in trusted}
    return tuple(known[der] for der in named) if all(der in known for der in named) else ()


class _Verifier(XMLVerifier):
    """signxml, but for its search for the element of a reference. Here it can only be the root, whose ID saml_shape.py
    has compared with the URI; no search by id, no confusion of ids."""

    def _resolve_reference(self, doc_root: Any, reference: Any, uri_resolver: Any = None) -> Any:
        if reference.get("URI") != f"#{doc_root.get('ID')}":
            raise InvalidInput("the reference is not to the root")
        return doc_root


def _parser() -> etree.XMLParser:
    """One for each thread: making one costs as much as parsing an assertion, and a shared one makes threads wait."""
    if not hasattr(_of_thread, "parser"):
        _of_thread.parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            collect_ids=False,
        )
    found: etree.XMLParser = _of_thread.parser
    return found


def _signed_by(data: bytes, certificate: x509.Certificate, now: datetime) -> etree._Element | None:
    """What the certificate's key signed, parsed again from the canonical bytes; None when it did not."""
    config = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=now,
    )
    try:
        # saml_shape.py allows less than the schema does, so the schema has nothing to add.
        result = _Verifier().verify(
            data,
            x509_cert=certificate,
            expect_config=config,
            id_attribute="ID",
            validate_schema=False,
            parser=_parser(),
        )
    except Exception:  # noqa: BLE001 - whatever the bytes made the libraries stumble over, it is no valid signature
        return None
    return None if isinstance(result, list) else result.signed_xml


def _text_of_one(assertion: etree._Element, tag: str) -> str:
    elements = assertion.findall(tag)
    if len(elements) != 1 or len(elements[0]):
        raise fault("InvalidSecurityToken", "not one Issuer")
    return elements[0].text or ""


def _holds(information: etree._Element, certificate: x509.Certificate | None) -> bool:
    """Whether a KeyInfo of holder-of-key names the key of the TLS connection."""
    return certificate is not None and certificates.key_hash(certificate) in holder_keys(information)


def _check_timestamp(security: etree._Element, trust: Trust) -> None:
    """wsu:Timestamp, when there is one (WS-Security 1.1, 10). It is not signed: it can only make us refuse."""
    stamps = security.findall(f"{{{WSU}}}Timestamp")
    if len(stamps) > 1:
        raise fault("InvalidSecurity", "two timestamps")
    for stamp in stamps:
        for tag, late in (("Created", False), ("Expires", True)):
            values = stamp.findall(f"{{{WSU}}}{tag}")
            if len(values) > 1:
                raise fault("InvalidSecurity", f"two {tag} in the timestamp")
            for value in values:
                at = time_of(value.text, f"Timestamp/{tag}")
                if late and at <= trust.now - trust.skew:
                    raise fault("MessageExpired", "Timestamp/Expires is over")
                if not late and at > trust.now + trust.skew:
                    raise fault("MessageExpired", "Timestamp/Created is to come")
