"""HL7 v3 messages (XML ITS 1.0, NE2008): transmission and control act wrappers, and the data types they use.

Reading takes elements of a tree that `codec.xml.parse` has made (hardened and bounded there). Writing is by templates:
every function here gives text that is valid by the NE2008 schemas, elements in their order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec.xml import escape, text_of
from gateway.errors import BadInput

V3: Final = "urn:hl7-org:v3"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
INTERACTIONS: Final = "2.16.840.1.113883.1.6"
"""Root of interaction ids and code system of trigger events."""
CONDITIONS: Final = "2.16.840.1.113883.12.357"
"""HL7 v2 table 0357, the code system of acknowledgementDetail (ITI TF-2: 3.45.4.2.3)."""
JAPAN: Final = timezone(timedelta(hours=9))


class II(NamedTuple):
    """An instance identifier: OID (or UUID) of the authority, and the id under it."""

    root: str
    extension: str = ""
    name: str = ""
    """assigningAuthorityName"""


class Detail(NamedTuple):
    """One acknowledgementDetail. The text holds no value of the message."""

    code: str
    """HL7 table 0357."""
    text: str
    locations: tuple[str, ...] = ()
    """XPath from the message's root element."""
    severity: str = "E"
    """AcknowledgementDetailType: E, W, I."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """The transmission wrapper of a message (MCCI_MT000100UV01, 000200, 000300)."""

    name: str
    """Local name of the root element: PRPA_IN201301UV02 ..."""
    id: II
    interaction: str
    """Extension of interactionId."""
    created: str
    """creationTime as it stands."""
    processing: str
    """processingCode: P, T, D."""
    receivers: tuple[II, ...]
    sender: II
    organization: str
    """Root of sender/device/asAgent/representedOrganization/id: the home community in XCPD."""
    respond_to: str
    """Address of respondTo/telecom."""
    target: II
    """acknowledgement/targetMessage/id of an answer."""
    control: etree._Element | None
    """controlActProcess"""


# -- reading -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _path(path: str) -> str:
    return "/".join(f"{{{V3}}}{step}" for step in path.split("/"))


def find(element: etree._Element | None, path: str) -> etree._Element | None:
    """First element at `a/b/c` below, in the v3 namespace."""
    return None if element is None else element.find(_path(path))


def find_all(element: etree._Element | None, path: str) -> list[etree._Element]:
    return [] if element is None else element.findall(_path(path))


def attribute(element: etree._Element | None, name: str, path: str = "") -> str:
    """An attribute of the element (or of the one at `path`), trimmed; empty when anything is missing."""
    found = find(element, path) if path else element
    return "" if found is None else str(found.get(name, "")).strip()


def ii_of(element: etree._Element | None) -> II:
    """An id; all empty when there is none or it has a nullFlavor."""
    if element is None or attribute(element, "nullFlavor"):
        return II("")
    return II(
        attribute(element, "root").removeprefix("urn:oid:"),  # LENIENT: some gateways write the URI form
        attribute(element, "extension"),
        attribute(element, "assigningAuthorityName"),
    )


def digits(time: str) -> str:
    """The digits of a TS (YYYYMMDDHHMMSS.UUUU[+-ZZzz]) without fraction and offset; empty for anything else."""
    plain = time.partition(".")[0].partition("+")[0].partition("-")[0]
    return plain if plain.isascii() and plain.isdigit() and len(plain) in range(4, 15, 2) else ""


def seventeen(time: str) -> str:
    """A TS as 17 digits in Japan's time, the order of versions; empty when it cannot be read.

    A time without an offset is Japan's already, as everywhere in SS-MIX2.
    """
    plain, rest = digits(time), time[len(digits(time)) :]
    if not plain:
        return ""
    fraction, offset = "", ""
    for sign in "+-":
        if sign in rest:
            rest, _, offset = rest.partition(sign)
            offset = sign + offset
    if rest.startswith("."):
        fraction = rest[1:]
    padded = plain + "00000101000000"[len(plain) :]
    try:
        moment = datetime.strptime(padded, "%Y%m%d%H%M%S").replace(tzinfo=JAPAN)
        if offset and len(plain) > 8:
            hours, minutes = int(offset[:3]), int(offset[0] + (offset[3:5] or "0"))
            moment = moment.replace(tzinfo=timezone(timedelta(hours=hours, minutes=minutes))).astimezone(JAPAN)
    except (ValueError, OverflowError):
        return ""
    thousandths = (fraction + "000")[:3]
    return f"{moment:%Y%m%d%H%M%S}" + (thousandths if thousandths.isdigit() else "000")


def read(root: etree._Element) -> Wrapper:
    """The wrapper of a message. Raises BadInput for what no answer can refer to."""
    name = etree.QName(root)
    if name.namespace != V3:
        raise BadInput("the body is no HL7 v3 message")
    message_id = ii_of(find(root, "id"))
    if not message_id.root:
        raise BadInput("the message has no id")
    return Wrapper(
        name.localname,
        message_id,
        attribute(root, "extension", "interactionId"),
        attribute(root, "value", "creationTime"),
        attribute(root, "code", "processingCode"),
        tuple(ii_of(one) for one in find_all(root, "receiver/device/id")),
        ii_of(find(root, "sender/device/id")),
        ii_of(find(root, "sender/device/asAgent/representedOrganization/id")).root,
        attribute(root, "value", "respondTo/telecom"),
        ii_of(find(root, "acknowledgement/targetMessage/id")),
        find(root, "controlActProcess"),
    )


def verbatim(element: etree._Element | None) -> str:
    """An element as it came (with the namespaces it needs), to be echoed."""
    return "" if element is None else str(etree.tostring(element, encoding="unicode", with_tail=False))


def quantity(element: etree._Element | None, path: str) -> int | None:
    """An INT that is not negative; None when it is absent. Raises BadInput when it is no such number."""
    raw = attribute(element, "value", path)
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 9:
        raise BadInput("a quantity that is not a number")
    return int(raw)


def text(element: etree._Element | None) -> str:
    return text_of(element)


# -- writing -----------------------------------------------------------------------------------------------------


def attributes(**values: str) -> str:
    """` name="value"` for every value that is not empty."""
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items() if value)


def ii(value: II, element: str = "id") -> str:
    if not value.root:
        return f'<{element} nullFlavor="NI"/>'
    given = attributes(root=value.root, extension=value.extension, assigningAuthorityName=value.name)
    return f"<{element}{given}/>"


def timestamp(moment: datetime) -> str:
    return f"{moment.astimezone(JAPAN):%Y%m%d%H%M%S}+0900"


@dataclass(frozen=True, slots=True)
class Head:
    """What a message of ours says of itself."""

    interaction: str
    id: II
    created: str
    sender: str
    """OID of our device."""
    receiver: II
    organization: str = ""
    """Our home community's OID, where the profile names it (XCPD)."""
    receiver_organization: str = ""
    processing: str = "P"
    accept: str = "NE"
    """acceptAckCode: AL in questions, NE in answers."""
    respond_to: str = ""


def message(head: Head, *parts: str) -> bytes:
    """A whole message. `parts`: acknowledgement and control act, in this order."""
    respond_to = ""
    if head.respond_to:
        respond_to = (
            f'<respondTo typeCode="RSP"><telecom value="{escape(head.respond_to)}"/>'
            '<entityRsp classCode="ENT" determinerCode="INSTANCE"><id nullFlavor="NI"/></entityRsp></respondTo>'
        )
    return (
        f'<{head.interaction} xmlns="{V3}" xmlns:xsi="{XSI}" ITSVersion="XML_1.0">{ii(head.id)}'
        f'<creationTime value="{head.created}"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{head.interaction}"/>'
        f'<processingCode code="{escape(head.processing)}"/><processingModeCode code="T"/>'
        f'<acceptAckCode code="{head.accept}"/>'
        f'<receiver typeCode="RCV">{_device(head.receiver, head.receiver_organization)}</receiver>{respond_to}'
        f'<sender typeCode="SND">{_device(II(head.sender), head.organization)}</sender>'
        f"{''.join(parts)}</{head.interaction}>"
    ).encode()


def _device(device: II, organization: str) -> str:
    agent = ""
    if organization:
        agent = (
            '<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
            f"{ii(II(organization))}</representedOrganization></asAgent>"
        )
    return f'<device classCode="DEV" determinerCode="INSTANCE">{ii(device)}{agent}</device>'


def acknowledgement(code: str, target: II, details: Iterable[Detail] = ()) -> str:
    """`code`: CA, CE, CR for an accept acknowledgement, AA, AE, AR for that of an application."""
    shown = "".join(
        f'<acknowledgementDetail typeCode="{detail.severity}">'
        f'<code code="{detail.code}" codeSystem="{CONDITIONS}"/><text>{escape(detail.text)}</text>'
        + "".join(f"<location>{escape(location)}</location>" for location in detail.locations)
        + "</acknowledgementDetail>"
        for detail in details
    )
    return f'<acknowledgement><typeCode code="{code}"/><targetMessage>{ii(target)}</targetMessage>{shown}</acknowledgement>'


def query_ack(query: II, code: str, quantities: tuple[int, int, int] | None = None) -> str:
    """`code`: OK, NF, AE (QueryResponse). `quantities`: total, in this answer, still to come."""
    counted = ""
    if quantities is not None:
        names = ("resultTotalQuantity", "resultCurrentQuantity", "resultRemainingQuantity")
        counted = "".join(f'<{name} value="{value}"/>' for name, value in zip(names, quantities, strict=True))
    return (
        f'<queryAck>{ii(query, "queryId")}<statusCode code="deliveredResponse"/>'
        f'<queryResponseCode code="{code}"/>{counted}</queryAck>'
    )


def control_act(trigger: str, *parts: str, mood: str = "EVN") -> str:
    """controlActProcess with its trigger event code (`PRPA_TE201310UV02`)."""
    return (
        f'<controlActProcess classCode="CACT" moodCode="{mood}">'
        f'<code code="{trigger}" codeSystem="{INTERACTIONS}"/>{"".join(parts)}</controlActProcess>'
    )


def registration(patient: str, custodian: II, code: str = "", replaced: str = "") -> str:
    """One subject: the registration event of a rendered patient role. `code` is that of the custodian, as XML."""
    return (
        '<subject typeCode="SUBJ" contextConductionInd="false"><registrationEvent classCode="REG" moodCode="EVN">'
        '<id nullFlavor="NA"/><statusCode code="active"/>'
        f'<subject1 typeCode="SBJ">{patient}</subject1>'
        f'<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">{ii(custodian)}{code}</assignedEntity>'
        f"</custodian>{replaced}</registrationEvent></subject>"
    )


def detected_issue(managements: Sequence[str] = (), requested: Sequence[str] = ()) -> str:
    """reasonOf of an XCPD answer (ITI TF-2: 3.55.4.2.2.6): why there is none, or what to ask with."""
    mitigated = "".join(
        '<mitigatedBy typeCode="MITGT"><detectedIssueManagement classCode="ACT" moodCode="EVN">'
        f'<code code="{code}" codeSystem="1.3.6.1.4.1.19376.1.2.27.3"/></detectedIssueManagement></mitigatedBy>'
        for code in managements
    )
    triggers = "".join(
        '<triggerFor typeCode="TRIG"><actOrderRequired classCode="ACT" moodCode="RQO">'
        f'<code code="{code}" codeSystem="1.3.6.1.4.1.19376.1.2.27.1"/></actOrderRequired></triggerFor>'
        for code in requested
    )
    return (
        '<reasonOf typeCode="RSON"><detectedIssueEvent classCode="ALRT" moodCode="EVN">'
        '<code code="ActAdministrativeDetectedIssueCode" codeSystem="2.16.840.1.113883.5.4"/>'
        f"{mitigated}{triggers}</detectedIssueEvent></reasonOf>"
    )
