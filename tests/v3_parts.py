"""Parts the HL7 v3 tests share: a node in memory, messages as a stranger writes them, and the schemas as judges.

`V3Node.ask` checks every answer against NE2008 when `../shared` is there, whatever its test looks at.
"""

import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from gateway import ihe
from gateway.codec import soap
from gateway.ihe._held import Held
from gateway.ihe._soap import WireResponse
from gateway.ihe._v3 import V3Services
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName
from tests.conftest import SHARED
from tests.oracle.xsd import v3_errors_of
from tests.persons_fake import FakePersons
from tests.xds_parts import CALLER, MemoryAudit, envelope_of, numbered_uuids

HOME = "urn:oid:1.2.392.200119.99999.1"
REGION = "1.2.392.200119.99999.1.1"
TOKYO = "1.2.392.200119.99999.2"
MEDICAL = "1.2.392.200119.99999.3"
OSAKA = "1.2.392.200119.99999.4"
UNKNOWN = "1.2.392.200119.99999.404"
V3 = "{urn:hl7-org:v3}"

TARO = Demographics(
    names=(PersonName("結城", "太郎", kind="kanji"), PersonName("ユウキ", "タロウ", kind="kana")),
    birth_date="19840203",
    sex="M",
    addresses=(PersonAddress("1000001", "東京都", "千代田区", "千代田1-1", use="home"),),
    telecoms=("03-1234-5678", "taro@example.jp"),
    mothers_maiden_name=PersonName("佐藤", "花子", use="maiden"),
    birth_order=1,
    multiple_birth=True,
    deceased=False,
)


@dataclass
class MemoryLater:
    room: bool = True
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)

    def put(self, address: str, action: str, envelope: bytes, content_type: str = "") -> bool:
        if self.room:
            self.sent.append((address, action, envelope))
        return self.room


@dataclass
class V3Node:
    services: V3Services
    persons: FakePersons
    audit: MemoryAudit
    later: MemoryLater

    def change(self, **changes: Any) -> None:
        self.services = replace(self.services, **changes)

    def send(self, path: str, action: str, body: bytes, headers: str = "") -> WireResponse:
        data = soap.request(action, "urn:uuid:00000000-0000-0000-0000-00000000aaaa", "http://127.0.0.1/", body)
        if headers:
            if "ReplyTo" in headers:
                start, end = data.index(b"<wsa:ReplyTo>"), data.index(b"</wsa:ReplyTo>") + len(b"</wsa:ReplyTo>")
                data = data[:start] + data[end:]
            data = data.replace(b"</soap:Header>", headers.encode() + b"</soap:Header>")
        response = ihe.dispatch(path, soap.MEDIA_TYPE, io.BytesIO(data), self.services, CALLER)
        return response._replace(body=(b"".join(response.body),))

    def ask(self, path: str, action: str, body: bytes, headers: str = "") -> etree._Element:
        """The body element of the answer, valid by its schema."""
        response = self.send(path, action, body, headers)
        assert response.status == 200, response.body
        (found,) = envelope_of(response)[1]
        valid(found)
        return found


def valid(element: etree._Element) -> None:
    if SHARED.is_dir() and "hl7-org" in str(element.tag):
        assert v3_errors_of(SHARED, element) == []


def make_v3_node() -> V3Node:
    persons, audit, later = FakePersons(), MemoryAudit(), MemoryLater()
    services = V3Services(
        persons=persons,
        audit=audit,
        home=HOME,
        affinity_domain=REGION,
        device="1.2.392.200119.99999.1",
        scope_of=lambda caller, transaction: UNRESTRICTED,
        continuations=Held(monotonic, 3),
        correlations=Held(monotonic),
        discoveries=Held(monotonic),
        later=later,
        may_reply=lambda address: address.startswith("http://127.0.0.1:"),
        clock=Clock(now=lambda: datetime(2024, 1, 1, tzinfo=UTC)),
        chance=numbered_uuids(),
    )
    return V3Node(services, persons, audit, later)


def tid(value: str, authority: str = TOKYO) -> PatientId:
    return PatientId(value, authority)


# -- messages ----------------------------------------------------------------------------------------------------


def v3_message(name: str, control: str, *, interaction: str = "", processing: str = "P", extra: str = "") -> bytes:
    return (
        f'<{name} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ITSVersion="XML_1.0">'
        '<id root="1.2.3.4" extension="m1"/><creationTime value="20240102030405+0900"/>'
        f'<interactionId root="2.16.840.1.113883.1.6" extension="{interaction or name.removesuffix("_Cancel")}"/>'
        f'<processingCode code="{processing}"/><processingModeCode code="T"/><acceptAckCode code="AL"/>'
        '<receiver typeCode="RCV"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.9.9"/></device></receiver>'
        f"{extra}"
        '<sender typeCode="SND"><device classCode="DEV" determinerCode="INSTANCE"><id root="1.2.3.5" extension="HIS"/>'
        '<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
        '<id root="1.2.392.200119.99999.20"/></representedOrganization></asAgent></device></sender>'
        f'<controlActProcess classCode="CACT" moodCode="EVN">{control}</controlActProcess></{name}>'
    ).encode()


def ids_xml(*ids: PatientId, element: str = "id") -> str:
    return "".join(f'<{element} root="{one.authority}" extension="{escape(one.value)}"/>' for one in ids)


PERSON = (
    '<name use="L IDE"><family>結城</family><given>太郎</given></name>'
    '<name use="SYL"><family>ユウキ</family><given>タロウ</given></name>'
    '<telecom value="tel:03-1234-5678"/>'
    '<administrativeGenderCode code="M" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19840203"/>'
    "<addr><streetAddressLine>千代田1-1</streetAddressLine><city>千代田区</city><state>東京都</state>"
    "<postalCode>1000001</postalCode></addr>"
)


def feed(
    name: str, *ids: PatientId, prior: tuple[PatientId, ...] = (), person: str = PERSON, act: str = "", **changes: str
) -> bytes:
    """PRPA_IN201301UV02, 201302 or 201304."""
    replaced = ""
    if prior:
        replaced = (
            '<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN"><statusCode code="obsolete"/>'
            f'<subject1 typeCode="SBJ"><priorRegisteredRole classCode="PAT">{ids_xml(*prior)}</priorRegisteredRole>'
            "</subject1></priorRegistration></replacementOf>"
        )
    control = (
        f'{act}<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><id nullFlavor="NA"/>'
        f'<statusCode code="active"/><subject1 typeCode="SBJ"><patient classCode="PAT">{ids_xml(*ids)}'
        '<statusCode code="active"/><patientPerson classCode="PSN" determinerCode="INSTANCE">'
        f"{person}</patientPerson></patient></subject1>"
        f'<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED"><id root="{TOKYO}"/></assignedEntity></custodian>'
        f"{replaced}</registrationEvent></subject>"
    )
    return v3_message(name, control, **changes)


QUERY_ID = '<queryId root="1.2.3.6" extension="q1"/>'


def pix_query(patient: PatientId | str, *sources: str) -> bytes:
    wanted = patient if isinstance(patient, str) else ids_xml(patient, element="value")
    asked = "".join(
        f'<dataSource><value root="{one}"/><semanticsText>DataSource.id</semanticsText></dataSource>' for one in sources
    )
    return v3_message(
        "PRPA_IN201309UV02",
        f'<queryByParameter>{QUERY_ID}<statusCode code="new"/><responsePriorityCode code="I"/><parameterList>{asked}'
        f"<patientIdentifier>{wanted}<semanticsText>Patient.id</semanticsText></patientIdentifier>"
        "</parameterList></queryByParameter>",
    )


def parameter(name: str, *values: str) -> str:
    return f"<{name}>{''.join(values)}<semanticsText>x</semanticsText></{name}>"


def name_value(family: str, given: str = "", use: str = "") -> str:
    shown = f' use="{use}"' if use else ""
    parts = f"<family>{family}</family>" + (f"<given>{given}</given>" if given else "")
    return f"<value{shown}>{parts}</value>"


def pdq_query(
    *parameters: str, quantity: int = 0, degree: int | None = None, deferred: str = "", author: str = "", **changes: str
) -> bytes:
    initial = f'<initialQuantity value="{quantity}"/>' if quantity else ""
    match = ""
    if degree is not None:
        match = (
            f'<matchCriterionList><minimumDegreeMatch><value xsi:type="INT" value="{degree}"/>'
            "<semanticsText>x</semanticsText></minimumDegreeMatch></matchCriterionList>"
        )
    control = (
        f'{author}<queryByParameter>{QUERY_ID}<statusCode code="new"/><responseModalityCode code="R"/>'
        f'<responsePriorityCode code="{"D" if deferred else "I"}"/>{initial}{match}'
        f"<parameterList>{''.join(parameters)}</parameterList></queryByParameter>"
    )
    respond_to = ""
    if deferred:
        respond_to = (
            f'<respondTo typeCode="RSP"><telecom value="{deferred}"/>'
            '<entityRsp classCode="ENT" determinerCode="INSTANCE"><id nullFlavor="NI"/></entityRsp></respondTo>'
        )
    return v3_message("PRPA_IN201305UV02", control, extra=respond_to, **changes)


def continuation(name: str = "QUQI_IN000003UV01", *, query: str = QUERY_ID, start: int = 0, quantity: int = 0) -> bytes:
    parts = query
    parts += f'<startResultNumber value="{start}"/>' if start else ""
    parts += f'<continuationQuantity value="{quantity}"/>' if quantity else ""
    status = "aborted" if "Cancel" in name else "waitContinuedQueryResponse"
    return v3_message(name, f'<queryContinuation>{parts}<statusCode code="{status}"/></queryContinuation>')


# -- looking at answers ------------------------------------------------------------------------------------------


def path_of(path: str) -> str:
    return "/".join(V3 + step for step in path.split("/"))


def code(answer: etree._Element) -> str:
    found = answer.find(path_of("acknowledgement/typeCode"))
    return "" if found is None else str(found.get("code"))


def response_code(answer: etree._Element) -> str:
    found = answer.find(path_of("controlActProcess/queryAck/queryResponseCode"))
    return "" if found is None else str(found.get("code"))


def details(answer: etree._Element) -> list[tuple[str, str, list[str]]]:
    """(severity, code, locations)"""
    return [
        (
            str(one.get("typeCode")),
            str(one.find(f"{V3}code").get("code")),  # type: ignore[union-attr]
            [str(place.text) for place in one.findall(f"{V3}location")],
        )
        for one in answer.findall(path_of("acknowledgement/acknowledgementDetail"))
    ]


def subjects(answer: etree._Element) -> list[etree._Element]:
    return answer.findall(path_of("controlActProcess/subject/registrationEvent/subject1/patient"))


def ids_of(element: etree._Element, path: str = "id") -> list[tuple[str, str]]:
    return [(str(one.get("root")), str(one.get("extension"))) for one in element.findall(path_of(path))]


def quantities(answer: etree._Element) -> tuple[int, ...]:
    ack = answer.find(path_of("controlActProcess/queryAck"))
    assert ack is not None
    names = ("resultTotalQuantity", "resultCurrentQuantity", "resultRemainingQuantity")
    return tuple(int(str(ack.find(V3 + name).get("value"))) for name in names)  # type: ignore[union-attr]
