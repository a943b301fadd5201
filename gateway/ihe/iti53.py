"""ITI-53 Document Metadata Notify (ITI TF-2: 3.53): what the broker sends to a consumer, one-way; and ITI-70 Pull
Notification, which fetches the same messages from a pull point."""

from typing import Any, Final
from uuid import UUID, uuid5

import requests

from gateway.codec import ebxml, soap
from gateway.codec.ebxml_submit import submit_request
from gateway.codec.xml import escape
from gateway.errors import Forbidden, Unavailable
from gateway.ihe._client import Poster
from gateway.ihe._dsub import IHE, NOTIFY, SIMPLE, WSA, WSNT, address_of
from gateway.services.broker import Send, Told

TIMEOUT_S: Final = 10.0


def message(told: Told, base: str, home: str) -> bytes:
    """wsnt:NotificationMessage: the metadata as a SubmitObjectsRequest, or references to it (MinimalDocumentEntry)."""
    one = told.subscription
    if told.notification.published:
        content = told.notification.published
    elif told.stored is None:
        content = b""
    elif one.content == "minimal":
        content = submit_request([ebxml.render_object_ref(told.stored.entryUUID, home=home)])
    else:
        content = submit_request([ebxml.complete(told.stored, home)])
    head = (
        f'<wsnt:NotificationMessage xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}" xmlns:ihe="{IHE}">'
        f"<wsnt:SubscriptionReference><wsa:Address>{escape(address_of(base, 'subscription', one.id))}</wsa:Address>"
        f'</wsnt:SubscriptionReference><wsnt:Topic Dialect="{SIMPLE}">ihe:{escape(one.topic)}</wsnt:Topic>'
        f"<wsnt:ProducerReference><wsa:Address>{escape(base)}/dsub</wsa:Address></wsnt:ProducerReference><wsnt:Message>"
    )
    return head.encode() + content + b"</wsnt:Message></wsnt:NotificationMessage>"


def sender(session: Poster, base: str, home: str) -> Send:
    """How services/broker tells a DSUB consumer. What may have been sent before (the node ended between sending and
    noting it) goes out again with the same MessageID."""

    def send(told: Told) -> None:
        body = f'<wsnt:Notify xmlns:wsnt="{WSNT}">'.encode() + message(told, base, home) + b"</wsnt:Notify>"
        envelope = soap.request(
            NOTIFY,
            f"urn:uuid:{uuid5(UUID(told.subscription.id), str(told.notification.n))}",
            told.subscription.address,
            body,
        )
        content_type = f'{soap.MEDIA_TYPE}; charset=UTF-8; action="{NOTIFY}"'
        post(session, told.subscription.address, envelope, content_type)

    return send


def post(session: Poster, url: str, data: bytes, content_type: str, **headers: str) -> None:
    """One message that wants no answer. Raises Unavailable, Forbidden (the receiver does not want it)."""
    more: dict[str, Any] = {"Content-Type": content_type, **headers}
    try:
        with session.post(
            url, data=data, headers=more, allow_redirects=False, stream=True, timeout=(TIMEOUT_S, TIMEOUT_S)
        ) as response:
            status = response.status_code
    except requests.RequestException:
        raise Unavailable("the consumer cannot be reached") from None
    if 400 <= status < 500 and status not in (408, 425, 429):
        raise Forbidden("the consumer refuses the notification")
    if not 200 <= status < 300:
        raise Unavailable("the consumer does not take the notification now")
