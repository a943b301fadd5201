"""The shape of a message that brings an assertion: where it must stand, what its signature may look like.

All ways of wrapping a signature (XSW 1 to 8 and their relatives) need a second Security header, a second assertion, a
second element with the same id, or a signature that is more than SignedInfo, SignatureValue and KeyInfo. So those are
counted over the whole envelope before a single byte is digested, and no transform that we did not name ever runs.
"""

import re
from base64 import b64decode
from typing import Final, NamedTuple, cast

from lxml import etree

from gateway.codec.saml_fault import fault
from gateway.codec.soap import SOAP, WSSE

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
EXC_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = f"{DS}enveloped-signature"
ASSERTION: Final = f"{{{SAML}}}Assertion"
ISSUER: Final = f"{{{SAML}}}Issuer"

_SECURITY: Final = f"{{{WSSE}}}Security"
_OUR_ROLES: Final = frozenset({"", f"{SOAP}/role/next", f"{SOAP}/role/ultimateReceiver"})
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURE_METHODS: Final = frozenset(
    f"{_MORE}{key}-{digest}" for key in ("rsa", "ecdsa") for digest in ("sha256", "sha384", "sha512")
)
DIGEST_METHODS: Final = frozenset(
    {"http://www.w3.org/2001/04/xmlenc#sha256", f"{_MORE}sha384", "http://www.w3.org/2001/04/xmlenc#sha512"}
)
_NCNAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,254}")

# XPath runs in C: a submission of a hundred thousand elements is looked through in milliseconds.
_NAMES: Final = {"saml": SAML, "wsse": WSSE, "ds": DS}
_TOKENS: Final = (_SECURITY, "{*}Assertion", "{*}EncryptedAssertion")
_ids = etree.XPath("count(//@*[.=$id][translate(local-name(),'ID','id')='id'])")
_inside = etree.XPath(
    "descendant::comment() | descendant::processing-instruction() | descendant::ds:Signature", namespaces=_NAMES
)


class Found(NamedTuple):
    security: etree._Element
    assertion: etree._Element
    id: str
    certificates: tuple[bytes, ...]
    """DER of what KeyInfo holds: a hint at the key, never the key."""


def locate(root: etree._Element) -> Found:
    """Raises SecurityFault. After it the message has exactly one assertion and one way to read it."""
    tokens = list(root.iter(*_TOKENS))
    security = _security(root, [one for one in tokens if one.tag == _SECURITY])
    assertion = _assertion(security, [one for one in tokens if one.tag != _SECURITY])
    if assertion.get("Version") != "2.0":
        raise fault("UnsupportedSecurityToken", "not SAML 2.0")
    id_ = str(assertion.get("ID", ""))
    if not _NCNAME.fullmatch(id_):
        raise fault("InvalidSecurity", "the assertion has no usable ID")
    if _ids(root, id=id_) != 1.0:
        raise fault("InvalidSecurity", "the ID of the assertion stands twice")
    inside = cast(list[etree._Element], _inside(assertion))
    if any(not isinstance(one.tag, str) for one in inside) or next(assertion.iter(etree.Entity), None) is not None:
        raise fault("InvalidSecurityToken", "a comment or instruction in the assertion")
    return Found(security, assertion, id_, _signature(assertion, inside, id_))


def _security(root: etree._Element, securities: list[etree._Element]) -> etree._Element:
    headers = root.findall(f"{{{SOAP}}}Header")
    if not securities:
        raise fault("SecurityTokenUnavailable", "no Security header")
    if len(headers) != 1 or len(securities) != 1 or securities[0].getparent() is not headers[0]:
        raise fault("InvalidSecurity", "not one Security header")
    if str(securities[0].get(f"{{{SOAP}}}role", "")) not in _OUR_ROLES:
        raise fault("InvalidSecurity", "the Security header is for another role")
    return securities[0]


def _assertion(security: etree._Element, candidates: list[etree._Element]) -> etree._Element:
    ours = [one for one in candidates if one.tag == ASSERTION]
    if any(one.tag == f"{{{SAML}}}EncryptedAssertion" for one in candidates):
        raise fault("InvalidSecurity", "an encrypted assertion")
    if not ours:
        if any(one.getparent() is security for one in candidates):
            raise fault("UnsupportedSecurityToken", "an assertion of another version")
        raise fault("SecurityTokenUnavailable", "no assertion")
    if len(ours) != 1 or len(candidates) != 1 or ours[0].getparent() is not security:
        raise fault("InvalidSecurity", "not one assertion in the Security header")
    return ours[0]


def _signature(assertion: etree._Element, signatures: list[etree._Element], id_: str) -> tuple[bytes, ...]:
    """Certificates of KeyInfo, when the one signature has the one form that is verified."""
    if len(signatures) != 1 or signatures[0].getparent() is not assertion:
        raise fault("FailedCheck", "not one signature on the assertion")
    parts = {one.tag: one for one in signatures[0]}
    names = [one.tag for one in signatures[0]]
    expected = [f"{{{DS}}}SignedInfo", f"{{{DS}}}SignatureValue"]
    if names not in (expected, [*expected, f"{{{DS}}}KeyInfo"]):
        raise fault("FailedCheck", "a signature of another shape")
    _signed_info(parts[expected[0]], id_)
    if len(parts[expected[1]]):
        raise fault("FailedCheck", "elements in SignatureValue")
    information = parts.get(f"{{{DS}}}KeyInfo")
    return () if information is None else _key_information(information)


def _signed_info(info: etree._Element, id_: str) -> None:
    names = [f"{{{DS}}}CanonicalizationMethod", f"{{{DS}}}SignatureMethod", f"{{{DS}}}Reference"]
    if [one.tag for one in info] != names:
        raise fault("FailedCheck", "SignedInfo of another shape")
    canonical, method, reference = info
    if canonical.get("Algorithm") != EXC_C14N or method.get("Algorithm") not in SIGNATURE_METHODS:
        raise fault("UnsupportedAlgorithm", "canonicalisation or signature method")
    _only_prefixes(canonical)
    if len(method):
        raise fault("UnsupportedAlgorithm", "a signature method with parameters")
    if reference.get("URI") != f"#{id_}":
        raise fault("FailedCheck", "the signature is of something else")
    parts = [one.tag for one in reference]
    if parts != [f"{{{DS}}}Transforms", f"{{{DS}}}DigestMethod", f"{{{DS}}}DigestValue"]:
        raise fault("FailedCheck", "Reference of another shape")
    transforms, digest, value = reference
    if any(one.tag != f"{{{DS}}}Transform" for one in transforms):
        raise fault("FailedCheck", "Transforms of another shape")
    algorithms = [one.get("Algorithm") for one in transforms]
    if any(one not in (ENVELOPED, EXC_C14N) for one in algorithms):
        raise fault("UnsupportedAlgorithm", "a transform")
    if algorithms not in ([ENVELOPED], [ENVELOPED, EXC_C14N]):
        raise fault("FailedCheck", "transforms in another order")
    for transform in transforms:
        _only_prefixes(transform)
    if digest.get("Algorithm") not in DIGEST_METHODS or len(digest):
        raise fault("UnsupportedAlgorithm", "digest method")
    if len(value) or not (value.text or "").strip():
        raise fault("FailedCheck", "no digest")


def _only_prefixes(method: etree._Element) -> None:
    """Exclusive canonicalisation may have a list of prefixes, and nothing else has anything."""
    inside = [one.tag for one in method]
    allowed = [f"{{{EXC_C14N}}}InclusiveNamespaces"] if method.get("Algorithm") == EXC_C14N else []
    if inside not in ([], allowed) or any(len(one) for one in method):
        raise fault("FailedCheck", "a method with parameters")


def _key_information(information: etree._Element) -> tuple[bytes, ...]:
    found: list[bytes] = []
    names = [one.tag for one in information]
    if any(name not in (f"{{{DS}}}X509Data", f"{{{DS}}}KeyValue", f"{{{DS}}}KeyName") for name in names):
        raise fault("FailedCheck", "a KeyInfo that refers to elsewhere")
    for element in information.iter(f"{{{DS}}}X509Certificate"):
        try:
            found.append(b64decode("".join((element.text or "").split()), validate=True))
        except ValueError:
            raise fault("FailedCheck", "a certificate that cannot be read") from None
    if f"{{{DS}}}KeyValue" in names and not found:
        raise fault("FailedCheck", "a bare key")
    return tuple(found)
