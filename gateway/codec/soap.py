"""SOAP 1.2 envelopes with WS-Addressing 1.0 (SOAP 1.2 part 1; ITI TF-2 appendix V.3): read hardened, written as text.

A SOAP 1.1 envelope is answered with a VersionMismatch fault in 1.1's own form (SOAP 1.2 part 1, appendix A), so that
the sender can read it. Faults are for the envelope, addressing and XML; an error of the question itself is an ordinary
answer with a RegistryErrorList.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from gateway.codec import xml
from gateway.codec.mtom import Part
from gateway.codec.xml import escape
from gateway.errors import BadInput

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
ANONYMOUS: Final = f"{WSA}/anonymous"
MEDIA_TYPE: Final = "application/soap+xml"

FAULT_ACTION: Final = f"{WSA}/fault"
SOAP_FAULT_ACTION: Final = f"{WSA}/soap/fault"

_OUR_ROLES: Final = frozenset({"", f"{SOAP}/role/next", f"{SOAP}/role/ultimateReceiver"})
_SINGLE: Final = {f"{{{WSA}}}{name}": name for name in ("To", "Action", "MessageID", "ReplyTo", "FaultTo", "From")}
"""Addressing headers that may stand once only (WS-Addressing 1.0 Core 3.2)."""
_ENVELOPE: Final = f"{{{SOAP}}}Envelope"
_ADDRESSING: Final = f"{{{WSA}}}"
_MESSAGE_ID: Final = f"{{{WSA}}}MessageID"
_RELATES_TO: Final = f"{{{WSA}}}RelatesTo"
_WHERE_TO: Final = (f"{{{WSA}}}ReplyTo", f"{{{WSA}}}FaultTo")


class SoapFault(BadInput):
    """Why a message gets a fault. `code` is the local name of the SOAP code, `subcodes` prefixed with wsa: or wsse:."""

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        subcodes: tuple[str, ...] = (),
        relates_to: str = "",
        not_understood: tuple[str, ...] = (),
        soap11: bool = False,
        detail: bytes = b"",
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.subcodes = subcodes
        self.relates_to = relates_to
        self.not_understood = not_understood
        """Header names as {namespace}local (SOAP 1.2 part 1, 5.4.8)."""
        self.soap11 = soap11
        self.detail = detail
        """XML of soap:Detail, written by us."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as read. `body` is the only child element of soap:Body, or None when there is none."""

    action: str
    message_id: str
    relates_to: str
    to: str
    body: etree._Element | None
    headers: tuple[etree._Element, ...] = ()
    reply_to: str = ""
    """Where the answer goes when it does not go back on the same connection; only addresses the reader allowed."""
    attachments: Mapping[str, Part] = field(default_factory=dict)
    """The other parts of an MTOM message, and documents that stood inside, by Content-ID."""
    root: etree._Element | None = None
    """The whole envelope: what a signature is looked for in."""


# -- reading -----------------------------------------------------------------------------------------------------


def nowhere(address: str) -> bool:
    """The addresses answers may be delivered to: none, they go back on the same connection."""
    return False


def read(
    data: bytes,
    limits: xml.XmlLimits,
    *,
    understood: frozenset[str] = frozenset(),
    may_reply: Callable[[str], bool] = nowhere,
) -> Envelope:
    """Reads a request. `understood` names headers ({namespace}local) beside WS-Addressing that the caller handles;
    `may_reply` says to which addresses (wsa:ReplyTo) an answer may be delivered later.

    Raises SoapFault (VersionMismatch, MustUnderstand, addressing) and whatever `xml.parse` raises.
    """
    root = xml.parse(data, limits)
    _check_version(root)
    headers, body = _split(root)
    try:
        _check_understood(headers, understood)
        found = _addressing(headers)
    except SoapFault as fault:
        fault.relates_to = _message_id(headers)
        raise
    message_id = found.get("MessageID", "")
    for name in ("Action", "MessageID"):
        if not found.get(name):
            raise SoapFault(
                "Sender",
                f"the header wsa:{name} is missing",
                subcodes=("wsa:MessageAddressingHeaderRequired",),
                relates_to=message_id,
            )
    reply_to = _reply_to(headers, message_id, may_reply)
    relates_to = "".join([xml.text_of(header) for header in headers if header.tag == _RELATES_TO])
    return Envelope(found["Action"], message_id, relates_to, found.get("To", ""), body, headers, reply_to, root=root)


def read_answer(data: bytes, limits: xml.XmlLimits) -> Envelope:
    """Reads a peer's answer: lenient about missing headers, strict about what could mislead.

    Raises SoapFault with the peer's code when the body is a soap:Fault; its text stays out, because a peer's words
    may hold patient data.
    """
    root = xml.parse(data, limits)
    if etree.QName(root).localname != "Envelope":
        raise BadInput("the answer is not a SOAP envelope")
    headers, body = _split(root)
    found = _addressing(headers)
    if body is not None and etree.QName(body).localname == "Fault":
        code = xml.text_of(body.find(f"{{{SOAP}}}Code/{{{SOAP}}}Value")) or xml.text_of(body.find("faultcode"))
        raise SoapFault(
            code.rpartition(":")[2] or "Receiver", "the peer answered with a SOAP fault", subcodes=_subcodes(body)
        )
    relates = [xml.text_of(header) for header in headers if header.tag == _RELATES_TO]
    return Envelope(
        found.get("Action", ""), _message_id(headers), relates[0] if relates else "", found.get("To", ""), body, headers
    )


def _subcodes(fault: etree._Element) -> tuple[str, ...]:
    """Those of WS-Security, with the prefixes they have here."""
    found = []
    for value in fault.iterfind(f"{{{SOAP}}}Code/{{{SOAP}}}Subcode/{{{SOAP}}}Value"):
        prefix, _, name = xml.text_of(value).partition(":")
        known = {WSSE: "wsse", WSU: "wsu"}.get(value.nsmap.get(prefix or None) or "")
        if known:
            found.append(f"{known}:{name}")
    return tuple(found)


def _check_version(root: etree._Element) -> None:
    if root.tag == _ENVELOPE:
        return
    name = etree.QName(root)
    if name.localname != "Envelope":
        raise SoapFault("Sender", "the message is not a SOAP envelope")
    if name.namespace == SOAP11:
        raise SoapFault("VersionMismatch", "SOAP 1.1 is not spoken here, SOAP 1.2 is", soap11=True)
    if name.namespace != SOAP:
        raise SoapFault("VersionMismatch", "an envelope of an unknown SOAP version")


def _split(root: etree._Element) -> tuple[tuple[etree._Element, ...], etree._Element | None]:
    prefix = str(root.tag).removesuffix("Envelope")
    header_name, body_name = f"{prefix}Header", f"{prefix}Body"
    header: etree._Element | None = None
    bodies = []
    for child in root:
        if child.tag == body_name:
            bodies.append(child)
        elif child.tag == header_name and header is None:
            header = child
    if len(bodies) != 1 or not prefix:
        raise SoapFault("Sender", "the envelope has no single soap:Body")
    children = [child for child in bodies[0] if isinstance(child.tag, str)]
    if len(children) > 1:
        raise SoapFault("Sender", "soap:Body holds more than one element")
    headers = () if header is None else tuple([child for child in header if isinstance(child.tag, str)])
    return headers, children[0] if children else None


def _message_id(headers: tuple[etree._Element, ...]) -> str:
    return next((xml.text_of(header) for header in headers if header.tag == _MESSAGE_ID), "")


def _check_understood(headers: tuple[etree._Element, ...], understood: frozenset[str]) -> None:
    unknown = []
    for header in headers:
        name = str(header.tag)
        if name.startswith(_ADDRESSING) or name in understood:
            continue
        required = str(header.get(f"{{{SOAP}}}mustUnderstand", "")).strip() in ("1", "true")
        if required and str(header.get(f"{{{SOAP}}}role", "")) in _OUR_ROLES:
            unknown.append(name)
    if unknown:
        raise SoapFault("MustUnderstand", "a header that must be understood is not", not_understood=tuple(unknown))


def _addressing(headers: tuple[etree._Element, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in headers:
        name = _SINGLE.get(header.tag)
        if name is None:
            continue
        if name in found:
            raise SoapFault(
                "Sender",
                f"the header wsa:{name} stands twice",
                subcodes=("wsa:InvalidAddressingHeader", "wsa:InvalidCardinality"),
            )
        found[name] = xml.text_of(header)
    return found


def _reply_to(headers: tuple[etree._Element, ...], message_id: str, may_reply: Callable[[str], bool]) -> str:
    """Where the answer goes; empty: back on the same connection. Opening one to any address found in a message would
    let every sender point us at the inside of our own network."""
    found = ""
    for header in headers:
        if header.tag in _WHERE_TO:
            address = xml.text_of(header.find(f"{{{WSA}}}Address"))
            if address != ANONYMOUS and may_reply(address):
                found = address if header.tag == _WHERE_TO[0] else found
            elif address != ANONYMOUS:
                raise SoapFault(
                    "Sender",
                    "answers are given on the same connection only (wsa:Address anonymous)",
                    subcodes=("wsa:InvalidAddressingHeader", "wsa:OnlyAnonymousAddressSupported"),
                    relates_to=message_id,
                )
    return found


# -- writing -----------------------------------------------------------------------------------------------------


def answer(
    action: str,
    message_id: str,
    relates_to: str,
    body: bytes | Sequence[bytes],
    *,
    to: str = ANONYMOUS,
    headers: str = "",
) -> bytes:
    """A response envelope around a rendered body (large ones in pieces, joined once); `message_id` and `relates_to` are URIs such as urn:uuid:..., `to` is
    where an asynchronous one is delivered, `headers` are further header blocks."""
    related = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return _envelope(
        f'<wsa:Action soap:mustUnderstand="true">{escape(action)}</wsa:Action>'
        f"<wsa:MessageID>{escape(message_id)}</wsa:MessageID>{related}<wsa:To>{escape(to)}</wsa:To>{headers}",
        body,
    )


def request(action: str, message_id: str, to: str, body: bytes, *, headers: str = "") -> bytes:
    """A request envelope whose answer comes back on the same connection; `headers` are further header blocks."""
    return _envelope(
        f'<wsa:Action soap:mustUnderstand="true">{escape(action)}</wsa:Action>'
        f"<wsa:MessageID>{escape(message_id)}</wsa:MessageID>"
        f"<wsa:ReplyTo><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
        f'<wsa:To soap:mustUnderstand="true">{escape(to)}</wsa:To>{headers}',
        body,
    )


def _envelope(headers: str, body: bytes | Sequence[bytes]) -> bytes:
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}"><soap:Header>{headers}</soap:Header><soap:Body>'
    )
    inside = (body,) if isinstance(body, bytes) else body
    return b"".join((head.encode(), *inside, b"</soap:Body></soap:Envelope>"))


def fault(found: SoapFault, message_id: str) -> bytes:
    """The envelope of a fault (SOAP 1.2 part 1, 5.4; WS-Addressing 1.0 SOAP Binding 6)."""
    if found.soap11:
        return _fault_11(found)
    subcode = ""
    for name in reversed(found.subcodes):
        subcode = f"<soap:Subcode><soap:Value>{escape(name)}</soap:Value>{subcode}</soap:Subcode>"
    action = FAULT_ACTION if found.subcodes[:1] and found.subcodes[0].startswith("wsa:") else SOAP_FAULT_ACTION
    related = f"<wsa:RelatesTo>{escape(found.relates_to)}</wsa:RelatesTo>" if found.relates_to else ""
    headers = (
        f"<wsa:Action>{action}</wsa:Action><wsa:MessageID>{escape(message_id)}</wsa:MessageID>{related}"
        + _not_understood(found.not_understood)
        + (_upgrade() if found.code == "VersionMismatch" else "")
    )
    body = (
        f'<soap:Fault xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}"><soap:Code><soap:Value>soap:{found.code}</soap:Value>{subcode}</soap:Code>'
        f'<soap:Reason><soap:Text xml:lang="en">{escape(found.reason)}</soap:Text></soap:Reason>'
    ).encode()
    if found.detail:
        body += b"<soap:Detail>%b</soap:Detail>" % found.detail
    return _envelope(headers, body + b"</soap:Fault>")


def _not_understood(names: Iterable[str]) -> str:
    blocks = []
    for name in names:
        namespace, _, local = name.removeprefix("{").rpartition("}")
        blocks.append(f'<soap:NotUnderstood qname="h:{escape(local)}" xmlns:h="{escape(namespace)}"/>')
    return "".join(blocks)


def _upgrade() -> str:
    return f'<soap:Upgrade xmlns:soap="{SOAP}"><soap:SupportedEnvelope qname="soap:Envelope"/></soap:Upgrade>'


def _fault_11(found: SoapFault) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<s11:Envelope xmlns:s11="{SOAP11}"><s11:Header>{_upgrade()}</s11:Header><s11:Body><s11:Fault>'
        f"<faultcode>s11:VersionMismatch</faultcode><faultstring>{escape(found.reason)}</faultstring>"
        "</s11:Fault></s11:Body></s11:Envelope>"
    ).encode()
