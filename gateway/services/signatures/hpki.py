"""hcRole: the profession a healthcare certificate vouches for (ISO 17090-2, 5.3; HPKI 証明書ポリシ).

It stands in subjectDirectoryAttributes as HCActorData, a SET OF HCActor. Modules in use differ in whether its context
tags are explicit, so both are read.
"""

from typing import Final

from asn1crypto import core, parser
from cryptography import x509

HC_ROLE: Final = "1.0.17090.0.1"
"""Attribute type healthcareactor."""
NATIONAL_ROLES: Final = "1.2.392.100495.1.6.1.1"
"""Coding scheme of the Japanese national qualifications."""
MAX_ROLES: Final = 32
_SUBJECT_DIRECTORY_ATTRIBUTES: Final = x509.ObjectIdentifier("2.5.29.9")
_STRINGS: Final = {12: "utf-8", 19: "ascii", 22: "ascii", 20: "latin-1", 30: "utf-16-be", 18: "ascii"}
_UNIVERSAL, _CONTEXT = 0, 2
_OID, _SEQUENCE, _SET = 6, 16, 17


def roles_of(certificate: x509.Certificate, schemes: frozenset[str] = frozenset({NATIONAL_ROLES})) -> tuple[str, ...]:
    """The role words of these coding schemes, in order, each once; empty when the certificate has none that can be
    read. A word of another scheme is no role here, whatever it says."""
    try:
        extension = certificate.extensions.get_extension_for_oid(_SUBJECT_DIRECTORY_ATTRIBUTES).value
        return tuple(dict.fromkeys(_roles(extension.public_bytes(), schemes)))[:MAX_ROLES]
    except (x509.ExtensionNotFound, ValueError, UnicodeDecodeError):
        return ()


class _Node:
    """One DER value: its class, tag and contents."""

    def __init__(self, der: bytes) -> None:
        self.class_, method, self.tag, header, self.content, trailer = parser.parse(der, strict=True)
        self.constructed = method == 1
        self.der = header + self.content + trailer

    def children(self) -> list["_Node"]:
        found: list[_Node] = []
        rest = self.content
        while self.constructed and rest:
            _, _, _, header, content, trailer = parser.parse(rest)
            size = len(header) + len(content) + len(trailer)
            found.append(_Node(rest[:size]))
            rest = rest[size:]
        return found


def _roles(der: bytes, schemes: frozenset[str]) -> list[str]:
    found: list[str] = []
    for attribute in _Node(der).children():
        parts = attribute.children()
        if len(parts) != 2 or _oid(parts[0]) != HC_ROLE:
            continue
        for data in parts[1].children():
            for actor in data.children():
                found += _actor(actor, schemes)
    return found


def _actor(actor: _Node, schemes: frozenset[str]) -> list[str]:
    """codedData [0] of one HCActor: a scheme and its word."""
    for coded in actor.children():
        if (coded.class_, coded.tag) != (_CONTEXT, 0):
            continue
        inner = coded.children()
        # Explicit tagging has the SET inside; implicit tagging has its members at once.
        members = inner[0].children() if len(inner) == 1 and inner[0].class_ == _UNIVERSAL else inner
        scheme = next((_oid(_bare(one)) or _implicit_oid(one) for one in members if one.tag == 0), "")
        if scheme in schemes:
            return [word for one in members if one.tag == 2 and (word := _string(_bare(one)))]
    return []


def _bare(node: _Node) -> _Node:
    """What an explicit tag wraps."""
    inner = node.children()
    return inner[0] if node.class_ == _CONTEXT and len(inner) == 1 else node


def _oid(node: _Node) -> str:
    if (node.class_, node.tag) != (_UNIVERSAL, _OID):
        return ""
    return str(core.ObjectIdentifier.load(node.der).dotted)


def _implicit_oid(node: _Node) -> str:
    return "" if node.constructed else str(core.ObjectIdentifier(contents=node.content).dotted)


def _string(node: _Node) -> str:
    charset = _STRINGS.get(node.tag) if node.class_ == _UNIVERSAL else None
    return node.content.decode(charset) if charset else ""
