"""ITI-53: what a consumer of DSUB is sent, and how its answer is understood."""

import pytest
import requests
from lxml import etree

from gateway.errors import Forbidden, GatewayError, Unavailable
from gateway.ihe import iti53
from gateway.model.subscription import Filter, Notification, Subscription
from gateway.services.broker import Told
from tests.dsubm_parts import Consumer

ID = "00000000-0000-4000-8000-000000000001"
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"
ONE = Subscription(ID, "dsub", "active", "FullDocumentEntry", Filter("document"), "http://a/<b>", "full", "n", "2026")


def told(n: int, published: bytes = b"<x:y xmlns:x='urn:x'/>") -> Told:
    return Told(ONE, Notification(n, ID, 1, "event", "", published, "2026", 0, "", "open"), None)


def test_the_message_is_in_the_order_of_the_schema() -> None:
    found = etree.fromstring(iti53.message(told(1), "http://here", ""))
    assert [child.tag for child in found] == [
        f"{WSNT}{name}" for name in ("SubscriptionReference", "Topic", "ProducerReference", "Message")
    ]
    assert found.findtext(f"{WSNT}Topic") == "ihe:FullDocumentEntry" and found.nsmap["ihe"] == "urn:ihe:iti:dsub:2009"
    (message,) = found.iterfind(f"{WSNT}Message")
    assert [child.tag for child in message] == ["{urn:x}y"]


def test_the_same_notification_has_the_same_message_id() -> None:
    consumer = Consumer()
    send = iti53.sender(consumer, "http://here", "")  # type: ignore[arg-type]
    for n in (1, 1, 2):
        send(told(n))
    ids = [etree.fromstring(data).findtext(".//{*}MessageID") for _, data, _ in consumer.sent]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (202, None), (204, None), (301, Unavailable), (400, Forbidden), (404, Forbidden), (408, Unavailable),
     (429, Unavailable), (500, Unavailable), (503, Unavailable)],
)  # fmt: skip
def test_answers(status: int, error: type[GatewayError] | None) -> None:
    consumer = Consumer(status)
    if error is None:
        iti53.post(consumer, "http://a", b"", "text/plain")  # type: ignore[arg-type]
    else:
        with pytest.raises(error):
            iti53.post(consumer, "http://a", b"", "text/plain")  # type: ignore[arg-type]


def test_nobody_there() -> None:
    class Away(Consumer):
        def post(self, url: str, **rest: object) -> Consumer:
            raise requests.ConnectionError

    with pytest.raises(Unavailable):
        iti53.post(Away(), "http://a", b"", "text/plain")  # type: ignore[arg-type]
