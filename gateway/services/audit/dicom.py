"""A record as DICOM PS3.15 A.5 AuditMessage XML, which IHE sends by syslog (ITI TF-2: 3.20.4.1.2). Pure.

Participants: who asked (the node, and the person with `alias<user@issuer>`), and this node. Objects: the patient, the
question as base64, documents, and the record's own number, by which a repository knows a record that came twice.
"""

import base64
import re
from typing import Final

from lxml import etree

from gateway.model.audit import AuditObject, AuditRecord, StoredRecord
from gateway.services.audit.names import event_name, transaction_name

_DCM: Final = "DCM"
_SOURCE, _DESTINATION = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
_RFC_3881: Final = "RFC-3881"
_XSPA: Final = "urn:oasis:names:tc:xspa:1.0"
_SENDS: Final = frozenset({"110106"})
"""Events in which data go from this node to who asked."""
_KINDS: Final = {
    "document": ("2", "3", ("9", "Report Number", _RFC_3881)),
    "submission-set": (
        "2", "20", ("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "submission set classificationNode", "IHE XDS Metadata")
    ),
    "resource": ("2", "4", ("12", "URI", _RFC_3881)),
    "consent": ("2", "13", ("12", "URI", _RFC_3881)),
}  # fmt: skip


def audit_message(stored: StoredRecord, home: str) -> bytes:
    """UTF-8 XML without declaration. `home`: homeCommunityId of this node, which is the audit source."""
    record = stored.record
    root = etree.Element("AuditMessage")
    event = etree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=record.action,
        EventDateTime=stored.recorded,
        EventOutcomeIndicator=str(record.outcome),
    )
    _code(event, "EventID", record.event, _DCM, event_name(record.event))
    system = "IHE Transactions" if record.transaction.startswith("ITI-") else "Musubi"
    _code(event, "EventTypeCode", record.transaction, system, transaction_name(record.transaction))
    if record.detail:
        _text(event, "EventOutcomeDescription", record.detail)
    if record.purpose:
        _code(event, "PurposeOfUse", record.purpose, _XSPA, record.purpose)
    _participants(root, record, home)
    source = etree.SubElement(root, "AuditSourceIdentification", AuditSourceID=home)
    source.set("AuditEnterpriseSiteID", home.removeprefix("urn:oid:"))
    _objects(root, stored, home)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)


def user_name(record: AuditRecord) -> str:
    """`alias<user@issuer>` (ITI TF-2: 3.40.4.2)."""
    return f"{record.user_name}<{record.user}@{record.issuer}>"


def _participants(root: etree._Element, record: AuditRecord, home: str) -> None:
    there, here = (_DESTINATION, _SOURCE) if record.event in _SENDS else (_SOURCE, _DESTINATION)
    asker = etree.SubElement(root, "ActiveParticipant", UserID=_clean(record.node or record.actor or "unknown"))
    asker.set("UserIsRequestor", "false" if record.user else "true")
    if record.address:
        asker.set("NetworkAccessPointID", _clean(record.address))
        asker.set("NetworkAccessPointTypeCode", "2")
    _code(asker, "RoleIDCode", there[0], _DCM, there[1])
    if record.user:
        person = etree.SubElement(root, "ActiveParticipant", UserID=_clean(user_name(record)), UserIsRequestor="true")
        if record.user_name:
            person.set("UserName", _clean(record.user_name))
        if record.assertion:
            person.set("AlternativeUserID", _clean(record.assertion))
        for role in record.roles:
            code, _, scheme = role.partition("^^")
            _code(person, "RoleIDCode", code, scheme or "local", code)
    own = etree.SubElement(root, "ActiveParticipant", UserID=home, UserIsRequestor="false")
    _code(own, "RoleIDCode", here[0], _DCM, here[1])


def _objects(root: etree._Element, stored: StoredRecord, home: str) -> None:
    record = stored.record
    for patient in dict.fromkeys(filter(None, (record.patient, *record.patients))):
        _object(root, patient, "1", "1", ("2", "Patient Number", _RFC_3881))
    for one in record.objects:
        if one.kind == "query":
            _query(root, one, record.transaction)
        elif one.kind in _KINDS:
            type_, role, kind = _KINDS[one.kind]
            element = _object(root, one.id, type_, role, kind)
            _details(element, one.details)
    if record.object and not record.objects:
        _object(root, record.object, "2", "4", ("12", "URI", _RFC_3881))
    element = _object(root, record_id(home, stored.n), "2", "13", ("12", "URI", _RFC_3881))
    own = [("record", record_id(home, stored.n)), ("organization", record.organization), ("home", record.home)]
    own += [("break-glass", record.break_glass), ("client", record.client)]
    _details(element, tuple(pair for pair in own if pair[1]))


def record_id(home: str, n: int) -> str:
    """Of a record, the same wherever and however often it is sent."""
    return f"{home}#audit-{n}"


def _query(root: etree._Element, one: AuditObject, transaction: str) -> None:
    kind = (transaction, transaction_name(transaction), "IHE Transactions")
    element = _object(root, one.id or transaction, "2", "24", kind)
    _text(element, "ParticipantObjectQuery", base64.b64encode(one.query).decode())
    _details(element, one.details)


def _object(root: etree._Element, id_: str, type_: str, role: str, kind: tuple[str, str, str]) -> etree._Element:
    element = etree.SubElement(root, "ParticipantObjectIdentification", ParticipantObjectID=_clean(id_))
    element.set("ParticipantObjectTypeCode", type_)
    element.set("ParticipantObjectTypeCodeRole", role)
    _code(element, "ParticipantObjectIDTypeCode", kind[0], kind[2], kind[1])
    return element


def _details(element: etree._Element, details: tuple[tuple[str, str], ...]) -> None:
    for name, value in details:
        detail = etree.SubElement(element, "ParticipantObjectDetail", type=_clean(name))
        detail.set("value", base64.b64encode(value.encode()).decode())


def _code(parent: etree._Element, name: str, code: str, system: str, text: str) -> None:
    element = etree.SubElement(parent, name)
    element.set("csd-code", _clean(code))
    element.set("codeSystemName", _clean(system))
    element.set("originalText", _clean(text))


def _text(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = _clean(text)


def _clean(text: str) -> str:
    """Characters XML cannot carry stand as U+FFFD: a record is never lost for one of them."""
    return _NOT_XML.sub("\ufffd", text)


_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
