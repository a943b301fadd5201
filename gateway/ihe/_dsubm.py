"""What the DSUBm transactions share: names of the Subscriptions R5 Backport IG (R4), the topics of DSUBm with their filters,
and what a Subscription, its topic and its status look like (IHE DSUBm 1.0, 2:3.110 to 2:3.114)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from gateway.codec import fhir
from gateway.errors import UnknownResource
from gateway.ihe import iti66, iti67
from gateway.ihe._mhd import MhdServices
from gateway.model.caller import Caller, Scope
from gateway.model.document import ObjectKind, StoredEntry
from gateway.model.subscription import Notification, Subscription
from gateway.services import document_references
from gateway.services.broker import Broker
from gateway.translate.document_reference import UUID as URN
from gateway.translate.document_reference import Json

TYPE: Final = "Subscription"
BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
FILTER: Final = f"{BACKPORT}/StructureDefinition/backport-filter-criteria"
CONTENT: Final = f"{BACKPORT}/StructureDefinition/backport-payload-content"
HEARTBEAT: Final = f"{BACKPORT}/StructureDefinition/backport-heartbeat-period"
STATUS_PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription-status-r4"
NOTIFICATION_PROFILE: Final = f"{BACKPORT}/StructureDefinition/backport-subscription-notification-r4"
TOPICS_AT: Final = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/"
CONTENTS: Final = ("empty", "id-only", "full-resource")

_PATIENT: Final = ("patient", "patient.identifier")
_DOCUMENT: Final = ("author.given", "author.family", "category", "event", "facility", "format", "security-label", "setting",
                    "status", "type")  # fmt: skip
_SET: Final = ("code", "source.given", "source.family", "sourceId", "designationType")
_FOLDER: Final = ("code", "identifier", "designationType", "status")


class Topic(NamedTuple):
    """A SubscriptionTopic of DSUBm. What is not a filter of it is refused."""

    id: str
    kind: ObjectKind
    title: str
    filters: tuple[str, ...]
    interactions: tuple[str, ...] = ("create",)

    @property
    def url(self) -> str:
        return TOPICS_AT + self.id

    @property
    def resource(self) -> str:
        return iti67.TYPE if self.kind == "document" else iti66.TYPE

    @property
    def of_patient(self) -> bool:
        """The patient has to be named; otherwise must not be."""
        return _PATIENT[0] in self.filters


_NAMED: Final = "DSUBm-SubscriptionTopic-"
TOPICS: Final = {
    one.url: one
    for one in (
        Topic(f"{_NAMED}DocumentReference-PatientDependent", "document", "New documents of a patient",
              (*_PATIENT, *_DOCUMENT)),
        Topic(f"{_NAMED}DocumentReference-MultiPatient", "document", "New documents of any patient", _DOCUMENT),
        Topic(f"{_NAMED}SubmissionSet-PatientDependent", "submissionset", "New submissions for a patient",
              (*_PATIENT, *_SET)),
        Topic(f"{_NAMED}SubmissionSet-MultiPatient", "submissionset", "New submissions for any patient", _SET),
        Topic(f"{_NAMED}Basic-Folder-Subscription", "folder", "New folders of a patient, and documents put into one",
              (*_PATIENT, *_FOLDER), ("create", "update")),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DsubmServices:
    """What the DSUBm transactions work with; app.py fills it."""

    broker: Broker
    mhd: MhdServices


def mine(services: DsubmServices, id_: str, caller: Caller) -> Subscription:
    """A FHIR subscription of the caller's node. Raises UnknownResource."""
    found = services.broker.mine(id_, caller)
    if found.face != "fhir":
        raise UnknownResource("no such subscription here")
    return found


def shown(one: Subscription) -> Json:
    """The Subscription as it stands now: what was sent, with its status, end and error."""
    made: Json = {**fhir.parse(one.source.encode()), "resourceType": TYPE, "id": one.id, "status": one.status}
    made.pop("error", None)
    if one.error:
        made["error"] = one.error
    if one.expires:
        made["end"] = one.expires
    return made


def status(one: Subscription, kind: str, base: str, events: Sequence[Json] = ()) -> Json:
    """SubscriptionStatus as Parameters (backport-subscription-status-r4). `kind`: handshake, heartbeat,
    event-notification, query-status, query-event."""
    return {
        "resourceType": "Parameters",
        "id": str(uuid5(UUID(one.id), kind)),
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": f"{base}/{TYPE}/{one.id}"}},
            {"name": "topic", "valueCanonical": one.topic},
            {"name": "status", "valueCode": one.status},
            {"name": "type", "valueCode": kind},
            {"name": "events-since-subscription-start", "valueString": str(one.events)},
            *events,
        ],
    }


def event(one: Notification, focus: str) -> Json:
    """A notification-event of the status. `focus`: absolute URL; "" for content `empty`."""
    parts: list[Json] = [
        {"name": "event-number", "valueString": str(one.number)},
        {"name": "timestamp", "valueInstant": one.created},
    ]
    if focus:
        parts.append({"name": "focus", "valueReference": {"reference": focus}})
    return {"name": "notification-event", "part": parts}


def address(stored: StoredEntry, topic: str, base: str) -> str:
    return f"{base}/{TOPICS[topic].resource}/{stored.entryUUID.removeprefix(URN)}"


def resource(stored: StoredEntry, topic: str, base: str, services: MhdServices, scope: Scope) -> Json:
    """The object as MHD shows it."""
    if TOPICS[topic].kind == "document":
        return document_references.shown([stored], base, services.documents, scope)[0]
    return iti66.shown([stored], base, services, scope)[0]


def bundle(id_: str, first: Json, one: Subscription, base: str, entries: Sequence[Json] = ()) -> Json:
    """A notification: Bundle of type history, the status first."""
    asked = {"method": "GET", "url": f"{base}/{TYPE}/{one.id}/$status"}
    return {
        "resourceType": "Bundle",
        "id": id_,
        "meta": {"profile": [NOTIFICATION_PROFILE]},
        "type": "history",
        "entry": [
            {"fullUrl": f"{URN}{first['id']}", "resource": first, "request": asked, "response": {"status": "200"}},
            *entries,
        ],
    }


def entry(url: str, made: Json | None) -> Json:
    """What an event is about; without the resource for content `id-only`."""
    found: Json = {"fullUrl": url}
    if made is not None:
        found["resource"] = made
    return found | {"request": {"method": "GET", "url": url}, "response": {"status": "200"}}
