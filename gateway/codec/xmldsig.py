"""XML signatures as values: what is signed, with what, over which bytes (XML-DSig 1.1; XAdES, ETSI EN 319 132-1).

Only shapes whose meaning is plain are read: the two canonicalizations, the enveloped-signature transform, references to
the document, to one element by an unambiguous Id, or to something outside. XSLT, XPath, XPointer and base64 transforms
can make the signed bytes something else than what a reader sees, and are refused. Pure: no key, clock or network.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec.xml import text_of
from gateway.errors import BadInput, Forbidden, LimitExceeded

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
SIGNED_PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"
MANIFEST: Final = f"{DS}Manifest"
ENVELOPED: Final = f"{DS}enveloped-signature"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11: Final = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_CANONICAL: Final = (INCLUSIVE, INCLUSIVE_11, EXCLUSIVE)

DIGESTS: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
SIGNATURES: Final = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": ("rsa", "sha256"),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": ("rsa", "sha384"),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": ("rsa", "sha512"),
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1": ("pss", "sha256"),
    "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1": ("pss", "sha384"),
    "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1": ("pss", "sha512"),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": ("ecdsa", "sha256"),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": ("ecdsa", "sha384"),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": ("ecdsa", "sha512"),
}
"""Method -> key kind and hash. SHA-1 and HMAC are not among them."""

MAX_SIGNATURES: Final = 16
MAX_REFERENCES: Final = 64
MAX_CERTIFICATES: Final = 16
_ID_NAMES: Final = ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id")


class WeakAlgorithm(BadInput):
    """A method that is known and no longer strong enough, or not known at all."""


class NotAtHand(BadInput):
    """A reference to something outside the document that nobody gave."""


class Reference(NamedTuple):
    uri: str
    type: str
    enveloped: bool
    canonicalization: str
    """Empty: none is named, which means INCLUSIVE for elements."""
    prefixes: tuple[str, ...]
    digest_method: str
    digest: bytes


class CertificateDigest(NamedTuple):
    """XAdES SigningCertificate(V2): which certificate the signer meant."""

    method: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class XmlSignature:
    """One ds:Signature of a document."""

    element: etree._Element
    canonicalization: str
    prefixes: tuple[str, ...]
    method: str
    references: tuple[Reference, ...]
    value: bytes
    certificates: tuple[bytes, ...]
    """DER, in the order of KeyInfo."""
    signing_certificate: tuple[CertificateDigest, ...]
    """Empty for plain XML-DSig."""
    signing_time: str
    """xs:dateTime as claimed; empty when absent."""
    time_stamps: tuple[tuple[str, bytes], ...]
    """Canonicalization of ds:SignatureValue and the RFC 3161 token, of each SignatureTimeStamp."""


def find(root: etree._Element) -> list[etree._Element]:
    """All ds:Signature elements, in document order. Raises LimitExceeded."""
    found = list(root.iter(f"{{{DS}}}Signature"))
    if len(found) > MAX_SIGNATURES:
        raise LimitExceeded(f"more than {MAX_SIGNATURES} signatures")
    return found


def read(element: etree._Element) -> XmlSignature:
    """Raises BadInput (not a signature of a shape that is read), WeakAlgorithm, Forbidden (a transform that is refused)."""
    info = _one(element, "SignedInfo")
    canonicalization = _one(info, "CanonicalizationMethod")
    algorithm = canonicalization.get("Algorithm", "")
    if algorithm not in _CANONICAL:
        raise Forbidden("a canonicalization of SignedInfo that is not read")
    method = _one(info, "SignatureMethod").get("Algorithm", "")
    if method not in SIGNATURES:
        raise WeakAlgorithm("the signature method is not accepted")
    references = info.findall(f"{{{DS}}}Reference")
    if not 1 <= len(references) <= MAX_REFERENCES:
        raise BadInput(f"a signature has 1 to {MAX_REFERENCES} references")
    read_references = tuple(_reference(one) for one in references)
    properties = _signed_properties(element, read_references)
    return XmlSignature(
        element=element,
        canonicalization=algorithm,
        prefixes=_prefixes(canonicalization),
        method=method,
        references=read_references,
        value=_bytes(_one(element, "SignatureValue")),
        certificates=_certificates(element),
        signing_certificate=_signing_certificate(properties),
        signing_time=_path_text(properties, "SignedSignatureProperties", "SigningTime"),
        time_stamps=_time_stamps(element),
    )


def signed_info(signature: XmlSignature) -> bytes:
    """The bytes the signature value was made of."""
    info = _one(signature.element, "SignedInfo")
    return canonical(info, signature.canonicalization, signature.prefixes)


def covered(signature: XmlSignature, reference: Reference, fetch: Callable[[str], bytes | None]) -> bytes:
    """The bytes a reference is the digest of. `fetch` knows what lies outside the document.

    Raises BadInput when it points at no element, or at more than one; NotAtHand, Forbidden.
    """
    root = signature.element.getroottree().getroot()
    if reference.uri == "":
        return _element(root, signature, reference)
    if reference.uri.startswith("#"):
        return _element(element_of(root, reference.uri[1:]), signature, reference)
    content = fetch(reference.uri)
    if content is None:
        raise NotAtHand("a reference points outside the document, at nothing that is at hand")
    if reference.enveloped or reference.canonicalization:
        raise Forbidden("a transform on bytes outside the document")
    return content


def manifest(signature: XmlSignature, reference: Reference) -> tuple[Reference, ...]:
    """What the ds:Manifest that a reference names holds; () when it names none.

    Digests in a manifest are not checked by the signature's own validation (XML-DSig 5.1), so who believes a detached
    document signature (IHE DSG, ITI TF-3: 5.5) has to ask. Raises BadInput, WeakAlgorithm, Forbidden.
    """
    if reference.type != MANIFEST:
        return ()
    element = element_of(signature.element.getroottree().getroot(), reference.uri[1:])
    if element.tag != f"{{{DS}}}Manifest" or signature.element not in element.iterancestors():
        raise BadInput("a manifest that is not one of this signature")
    references = element.findall(f"{{{DS}}}Reference")
    if not 1 <= len(references) <= MAX_REFERENCES:
        raise BadInput(f"a manifest has 1 to {MAX_REFERENCES} references")
    return tuple(_reference(one) for one in references)


def element_of(root: etree._Element, id_: str) -> etree._Element:
    """The one element of this Id. Raises BadInput for none and for several, whatever their attribute is called."""
    found = [one for one in root.iter(etree.Element) if any(one.get(name) == id_ for name in _ID_NAMES)]
    if len(found) != 1:
        raise BadInput(f"a reference to an Id that {len(found)} elements carry")
    return found[0]


def digest_matches(method: str, digest: bytes, content: bytes) -> bool:
    return hashlib.new(DIGESTS[method], content).digest() == digest


def canonical(element: etree._Element, algorithm: str, prefixes: tuple[str, ...] = ()) -> bytes:
    """Canonical XML without comments. Inclusive forms inherit xml: attributes, which lxml leaves out of a subtree."""
    exclusive = algorithm == EXCLUSIVE
    if not exclusive:
        element = _with_inherited(element)
    return etree.tostring(
        element,
        method="c14n",
        exclusive=exclusive,
        with_comments=False,
        inclusive_ns_prefixes=list(prefixes) if exclusive and prefixes else None,
    )


# -- reading -----------------------------------------------------------------------------------------------------


def _reference(element: etree._Element) -> Reference:
    if (uri := element.get("URI")) is None:
        raise BadInput("a reference without a URI")
    if uri.startswith("#xpointer("):
        raise Forbidden("an XPointer reference")
    digest_method = _one(element, "DigestMethod").get("Algorithm", "")
    if digest_method not in DIGESTS:
        raise WeakAlgorithm("a digest method that is not accepted")
    enveloped, algorithm, prefixes = False, "", ()  # type: bool, str, tuple[str, ...]
    for transform in element.iterfind(f"{{{DS}}}Transforms/{{{DS}}}Transform"):
        name = transform.get("Algorithm", "")
        if name == ENVELOPED and not enveloped and not algorithm:
            enveloped = True
        elif name in _CANONICAL and not algorithm:
            algorithm, prefixes = name, _prefixes(transform)
        else:
            raise Forbidden("a transform that is not read, or read twice")
    digest = _bytes(_one(element, "DigestValue"))
    return Reference(uri, element.get("Type", ""), enveloped, algorithm, prefixes, digest_method, digest)


def _signed_properties(element: etree._Element, references: tuple[Reference, ...]) -> etree._Element | None:
    """SignedProperties of this very signature, when a reference covers them; anything else proves nothing."""
    named = [one.uri for one in references if one.type == SIGNED_PROPERTIES]
    if not named:
        return None
    here = element.findall(f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties/{{{XADES}}}SignedProperties")
    if len(named) != 1 or len(here) != 1 or named[0] != f"#{here[0].get('Id')}":
        raise BadInput("the signed properties are not those of the signature")
    return here[0]


def _certificates(element: etree._Element) -> tuple[bytes, ...]:
    found = element.findall(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    if len(found) > MAX_CERTIFICATES:
        raise LimitExceeded(f"more than {MAX_CERTIFICATES} certificates in a signature")
    return tuple(_bytes(one) for one in found)


def _signing_certificate(properties: etree._Element | None) -> tuple[CertificateDigest, ...]:
    if properties is None:
        return ()
    signed = properties.find(f"{{{XADES}}}SignedSignatureProperties")
    found = [] if signed is None else [*signed.iterfind(f"{{{XADES}}}SigningCertificateV2/{{{XADES}}}Cert"),
                                       *signed.iterfind(f"{{{XADES}}}SigningCertificate/{{{XADES}}}Cert")]  # fmt: skip
    digests = []
    for cert in found:
        digest = cert.find(f"{{{XADES}}}CertDigest")
        if digest is None:
            raise BadInput("a signing certificate without a digest")
        digests.append(
            CertificateDigest(_one(digest, "DigestMethod").get("Algorithm", ""), _bytes(_one(digest, "DigestValue")))
        )
    return tuple(digests)


def _time_stamps(element: etree._Element) -> tuple[tuple[str, bytes], ...]:
    path = "/".join(
        [f"{{{DS}}}Object"]
        + [f"{{{XADES}}}{name}" for name in ("QualifyingProperties", "UnsignedProperties", "UnsignedSignatureProperties",
                                            "SignatureTimeStamp")]
    )  # fmt: skip
    found = []
    for stamp in element.iterfind(path):
        method = stamp.find(f"{{{DS}}}CanonicalizationMethod")
        algorithm = INCLUSIVE if method is None else method.get("Algorithm", "")
        tokens = stamp.findall(f"{{{XADES}}}EncapsulatedTimeStamp")
        if algorithm not in _CANONICAL or len(tokens) != 1:
            raise BadInput("a time stamp of a form that is not read")
        found.append((algorithm, _bytes(tokens[0])))
    return tuple(found)


def _path_text(element: etree._Element | None, *names: str) -> str:
    found = None if element is None else element.find("/".join(f"{{{XADES}}}{name}" for name in names))
    return text_of(found)


def _prefixes(element: etree._Element) -> tuple[str, ...]:
    inclusive = element.find(f"{{{EXCLUSIVE}}}InclusiveNamespaces")
    return () if inclusive is None else tuple(inclusive.get("PrefixList", "").split())


def _one(element: etree._Element, name: str) -> etree._Element:
    found = element.findall(f"{{{DS}}}{name}")
    if len(found) != 1:
        raise BadInput(f"a signature has one {name} here, not {len(found)}")
    return found[0]


def _bytes(element: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join(text_of(element).split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("a value of a signature is not base64") from None


# -- canonical forms ---------------------------------------------------------------------------------------------


def _element(element: etree._Element, signature: XmlSignature, reference: Reference) -> bytes:
    if reference.enveloped:
        element = _without(element, signature.element)
    return canonical(element, reference.canonicalization or INCLUSIVE, reference.prefixes)


def _without(element: etree._Element, signature: etree._Element) -> etree._Element:
    """A copy of the document from `element` on, the signature cut out; its tail text stays."""
    tree = element.getroottree()
    copy = deepcopy(tree.getroot())
    cut, kept = _same(tree, copy, signature), _same(tree, copy, element)
    parent, tail = cut.getparent(), cut.tail or ""
    if parent is None or kept not in (parent, *parent.iterancestors()):
        raise BadInput("an enveloped signature that is not inside what it signs")
    previous = cut.getprevious()
    if previous is not None:
        previous.tail = (previous.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    cut.tail = None
    parent.remove(cut)
    return kept


_XML: Final = "{http://www.w3.org/XML/1998/namespace}"


def _with_inherited(element: etree._Element) -> etree._Element:
    """The element with the xml: attributes of its ancestors (but xml:id, which Canonical XML 1.1 leaves out)."""
    inherited: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for name, value in ancestor.attrib.items():
            if str(name).startswith(_XML) and str(name) != f"{_XML}id":
                inherited.setdefault(str(name), str(value))
    missing = {name: value for name, value in inherited.items() if element.get(name) is None}
    if not missing:
        return element
    tree = element.getroottree()
    copy = _same(tree, deepcopy(tree.getroot()), element)
    for name, value in missing.items():
        copy.set(name, value)
    return copy


def _same(tree: etree._ElementTree, copy: etree._Element, element: etree._Element) -> etree._Element:
    """The element of the copied root that stands where `element` stands in the tree."""
    found = copy.find(tree.getelementpath(element))
    assert found is not None
    return found
