"""ITI-54: what a publisher sends is told to the subscribers it fits, as it came; what is no message is refused whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from gateway.ihe import iti54
from gateway.ihe._dsub import NOTIFY, WSNT
from tests.ihe.test_iti52 import MANY, Dsub, notifying, slot

OTHER = slot("$XDSDocumentEntryTypeCode", "('18842-5^^2.16.840.1.113883.6.1')")


@pytest.fixture
def dsub(tmp_path: Path) -> Iterator[Dsub]:
    with notifying(tmp_path) as found:
        yield found


@pytest.fixture
def request_(dsub: Dsub) -> str:
    """A SubmitObjectsRequest, as a notification holds it."""
    dsub.subscribe()
    dsub.register(1)
    dsub.broker.run_once()
    found = etree.fromstring(dsub.consumer.sent.pop()[1]).find(".//{*}SubmitObjectsRequest")
    assert found is not None
    for one in dsub.broker.subscriptions.all():
        dsub.broker.subscriptions.remove(one.id)
    return etree.tostring(found).decode()


def notify(*messages: str) -> str:
    held = "".join(
        f"<wsnt:NotificationMessage><wsnt:Message>{one}</wsnt:Message></wsnt:NotificationMessage>" for one in messages
    )
    return f'<wsnt:Notify xmlns:wsnt="{WSNT}">{held}</wsnt:Notify>'


def test_told_to_whom_it_fits_in_the_form_asked_for(dsub: Dsub, request_: str) -> None:
    dsub.subscribe()
    dsub.subscribe(topic="ihe:MinimalDocumentEntry")
    dsub.subscribe(query=MANY, slots=OTHER)
    assert dsub.ask(NOTIFY, notify(request_)) == (202, None)
    while dsub.broker.run_once():
        pass
    full, minimal = (data for _, data in dsub.consumer.sent)
    assert b"ExtrinsicObject" in full
    assert b"ObjectRef" in minimal and b"ExtrinsicObject" not in minimal
    assert any(row[:3] == ("110107", "ITI-54", "C") for row in dsub.node.audits())


@pytest.mark.parametrize("bad", ["", "<x/>", "text"])
def test_a_message_that_is_none_refuses_all(dsub: Dsub, request_: str, bad: str) -> None:
    dsub.subscribe()
    status, fault = dsub.ask(NOTIFY, notify(request_, bad))
    assert status == 500 and fault is not None
    assert dsub.broker.subscriptions.counts()["open"] == 0


def test_a_message_may_not_be_of_any_size(dsub: Dsub, request_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iti54, "MAX_BYTES", len(request_) - 1)
    dsub.subscribe()
    assert dsub.ask(NOTIFY, notify(request_))[0] == 500
    assert dsub.broker.subscriptions.counts()["open"] == 0
