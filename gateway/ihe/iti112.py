"""ITI-112 Resource Notify (IHE DSUBm 1.0, 2:3.112): handshake, heartbeat, event and deactivation, sent to the endpoint of a
FHIR Subscription as a Bundle of type history whose first entry is the status.

A notification that may have been sent before (the node ended between sending and noting it) goes out again with the same
Bundle.id and the same event number.
"""

from typing import Final
from uuid import UUID, uuid5

from gateway.codec import fhir
from gateway.fhir.messages import FHIR_JSON, FHIR_XML, XML_NAMES
from gateway.ihe import _dsubm
from gateway.ihe._client import Poster
from gateway.ihe._dsubm import DsubmServices
from gateway.ihe.iti53 import post
from gateway.ihe.iti110 import headers
from gateway.model.caller import Scope
from gateway.model.subscription import Notification, Subscription
from gateway.services.broker import Send, Told
from gateway.translate.document_reference import Json

NUMBER: Final = "ITI-112"
KINDS: Final = {
    "handshake": "handshake",
    "heartbeat": "heartbeat",
    "event": "event-notification",
    "deactivation": "event-notification",
}
"""What happened -> type of the status. There is no type for an end: it is an event-notification of status `off`."""


def message(told: Told, services: DsubmServices, base: str) -> Json:
    one, sent = told.subscription, told.notification
    id_ = str(uuid5(UUID(one.id), str(sent.n)))
    if sent.happening != "event" or told.stored is None:
        return _dsubm.bundle(id_, _dsubm.status(one, KINDS[sent.happening], base), one, base)
    scope = services.broker.scope_of(one.caller, "ITI-52")
    events, entries = about(told, one.content, services, base, scope)
    return _dsubm.bundle(id_, _dsubm.status(one, KINDS["event"], base, [events]), one, base, entries)


def about(told: Told, content: str, services: DsubmServices, base: str, scope: Scope) -> tuple[Json, list[Json]]:
    """(the notification-event, the entries that go with it)."""
    if content == "empty" or told.stored is None:
        return _dsubm.event(told.notification, ""), []
    topic = told.subscription.topic
    focus = _dsubm.address(told.stored, topic, base)
    full = content == "full-resource"
    made = _dsubm.resource(told.stored, topic, base, services.mhd, scope) if full else None
    return _dsubm.event(told.notification, focus), [_dsubm.entry(focus, made)]


def sender(session: Poster, services: DsubmServices, base: str) -> Send:
    """How services/broker tells a FHIR endpoint."""

    def send(told: Told) -> None:
        channel = fhir.parse(told.subscription.source.encode())["channel"]
        made = message(told, services, base)
        if channel.get("payload", "").partition(";")[0] in XML_NAMES:
            data, kind = services.mhd.render_xml(made), FHIR_XML
        else:
            data, kind = fhir.render(made), FHIR_JSON
        post(session, told.subscription.address, data, kind, **headers(channel))

    return send


def past(one: Subscription, found: list[Notification], services: DsubmServices, scope: Scope) -> list[Told]:
    """Events that were, as far as the scope still shows what they are about."""
    rows = {
        row.entryUUID: row
        for row in services.broker.registry.by_entry_uuid(tuple(sent.object for sent in found), scope)
    }
    return [Told(one, sent, rows.get(sent.object)) for sent in found]
