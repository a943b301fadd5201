"""ITI-54 Document Metadata Publish (ITI TF-2: 3.54): Notify sent to the broker by a publisher. What it holds is told to
the subscribers it fits, as it came; one-way, answered HTTP 202."""

from collections.abc import Sequence
from typing import Final

from lxml import etree

from gateway.codec.ebxml_submit import SUBMIT, read_submit
from gateway.errors import BadInput, GatewayError
from gateway.ihe._dsub import NOTIFY, WSNT, Answered, Asked, DsubOperation
from gateway.model.document import RegistryObject
from gateway.model.subscription import PULL_POINT, Event
from gateway.services.broker import matches

NUMBER: Final = "ITI-54"
MAX_BYTES: Final = 1024 * 1024
"""Of one message that is kept for the subscribers."""


def publish(asked: Asked) -> Answered:
    broker = asked.services.broker
    events: list[Event] = []
    scope = asked.services.scope_of(asked.caller, NUMBER)
    active = [one for one in broker.subscriptions.all("dsub") if one.status == "active" and one.topic != PULL_POINT]
    for held in asked.body.iterfind(f"{{{WSNT}}}NotificationMessage/{{{WSNT}}}Message"):
        request = held.find(SUBMIT)
        if request is None:
            raise BadInput("a NotificationMessage without lcm:SubmitObjectsRequest")
        data = etree.tostring(request)
        if len(data) > MAX_BYTES:
            raise BadInput(f"a NotificationMessage of more than {MAX_BYTES} bytes")
        try:
            metadata = read_submit(request)
        except GatewayError as error:
            raise BadInput(str(error)) from None
        objects: dict[str, Sequence[RegistryObject]] = {
            "document": metadata.documents,
            "submissionset": metadata.submissionSets,
            "folder": metadata.folders,
        }
        for one in active:
            fitting = [
                made for made in objects[one.filter.kind]
                if matches(one.filter, made) and broker.same_patient(one.filter.patient, made.patientId, scope)
            ]  # fmt: skip
            if fitting and one.content == "full":
                events.append(Event(one.id, published=data))
            else:
                events += [Event(one.id, published=_reference(made.entryUUID)) for made in fitting]
    broker.subscriptions.queue((), events)
    return Answered(b"", object=f"{len(events)} notifications")


def _reference(entry_uuid: str) -> bytes:
    request = etree.Element(SUBMIT)
    rim = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
    objects = etree.SubElement(request, f"{{{rim}}}RegistryObjectList", nsmap={"rim": rim})
    etree.SubElement(objects, f"{{{rim}}}ObjectRef", id=entry_uuid)
    return etree.tostring(request)


TRANSACTION: Final = DsubOperation(
    NUMBER, "ITI TF-2: 3.54", "Document Metadata Publish", NOTIFY, (f"{{{WSNT}}}Notify", ""), ("110107", "C"), publish,
    ("Document Metadata Publisher", "Document Metadata Notification Broker"),
)  # fmt: skip
