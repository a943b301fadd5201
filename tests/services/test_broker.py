"""services/broker.py: which objects fit a filter, and what happens when a receiver is away with much to be told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.code import Code
from gateway.model.document import Author, CodeFilter, Folder, SubmissionSet
from gateway.model.subscription import Event, Filter
from gateway.services.broker import matches, parked
from tests.dsubm_parts import DOCUMENTS, Dsubm, notifying, status_of

CODE = Code("57133-1", "1.2", "")
SUBMISSION = SubmissionSet(
    entryUUID="urn:uuid:s", uniqueId="1.2.9", patientId="1^^^&1.2&ISO", sourceId="1.2.3", submissionTime="2026",
    contentTypeCode=CODE, author=(Author(person="1^山田^Ｔａｒｏ"), Author(person="2^川田^花子")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter("submissionset"), True),
        (Filter("submissionset", codes=(("contentTypeCode", CodeFilter((("57133-1", "1.2"),))),)), True),
        (Filter("submissionset", codes=(("contentTypeCode", CodeFilter((("57133-1", ""),))),)), True),
        (Filter("submissionset", codes=(("contentTypeCode", CodeFilter((("57133-1", "9"),))),)), False),
        (
            Filter(
                "submissionset",
                codes=(
                    (
                        "contentTypeCode",
                        CodeFilter((("x", ""), ("57133-1", ""))),
                    ),
                ),
            ),
            True,
        ),
        (Filter("submissionset", sourceId=("1.2.3",)), True),
        (Filter("submissionset", sourceId=("1.2",)), False),
        (Filter("submissionset", authorPerson=("%山田%",)), True),
        (Filter("submissionset", authorPerson=("_^川田^%",)), True),
        (Filter("submissionset", authorPerson=("山田",)), False),
        (Filter("submissionset", names=((2, ("山",)),)), True),
        (Filter("submissionset", names=((2, ("田",)),)), False),
        (Filter("submissionset", names=((2, ("山田",)), (3, ("taro",)))), True),
        (Filter("submissionset", names=((2, ("山田",)), (3, ("花子",)))), False),
        (Filter("submissionset", ids=("urn:uuid:s",)), True),
        (Filter("submissionset", ids=("1.2.9", "x")), True),
        (Filter("submissionset", ids=("x",)), False),
        (Filter("submissionset", referenceIdList=(("x",),)), False),
    ],
)
def test_matches(wanted: Filter, fits: bool) -> None:
    assert matches(wanted, SUBMISSION) is fits


def test_other_objects_have_no_author() -> None:
    folder = Folder(entryUUID="urn:uuid:f", uniqueId="1", patientId="", codeList=(CODE,))
    assert not matches(Filter("folder", names=((2, ("山",)),)), folder)
    assert matches(Filter("folder", codes=(("codeList", CodeFilter((("57133-1", ""),))),)), folder)


@pytest.fixture
def dsubm(tmp_path: Path) -> Iterator[Dsubm]:
    with notifying(tmp_path) as found:
        yield found


def test_a_thousand_wait_and_come_in_order_when_the_receiver_is_back(dsubm: Dsubm) -> None:
    id_ = dsubm.active(topic=DOCUMENTS)
    other = dsubm.active(topic=DOCUMENTS)
    dsubm.register(1)
    dsubm.run()
    dsubm.consumer.sent.clear()
    (done,) = dsubm.broker.subscriptions.since(id_, 1, 1)
    dsubm.consumer.status_code = 503
    dsubm.broker.subscriptions.queue((), [Event(id_, object=done.object) for _ in range(1000)])
    dsubm.run()
    assert len(dsubm.consumer.bundles()) == 1  # the first alone was tried
    dsubm.broker.subscriptions.queue((), [Event(other, object=done.object)])
    dsubm.consumer.status_code = 200
    dsubm.run()
    assert len(dsubm.consumer.bundles()) == 1  # the other one's, which is not held up
    dsubm.later(10)
    dsubm.run()
    numbers = [status_of(one)["events"][0]["event-number"] for one in dsubm.consumer.bundles()]
    assert numbers == [str(n) for n in range(2, 1002)]
    assert dsubm.broker.subscriptions.counts()["open"] == 0


def test_what_an_operator_sees_names_no_patient(dsubm: Dsubm) -> None:
    id_ = dsubm.active(topic=DOCUMENTS)
    dsubm.register(1)
    dsubm.broker.fan_out()
    dsubm.broker.subscriptions.stop(id_)
    (found,) = parked(dsubm.broker.subscriptions)
    assert found["face"] == "fhir" and found["event"] == 1 and "object" not in found and "patient" not in found


def test_an_address_that_is_no_longer_allowed_is_not_called(dsubm: Dsubm) -> None:
    dsubm.active(topic=DOCUMENTS)
    dsubm.register(1)
    strict = replace(dsubm.broker, may_send=lambda address: False)
    for _ in range(5):
        strict.run_once()
        dsubm.later(3600)
    assert dsubm.consumer.sent == [] and strict.subscriptions.counts()["parked"] == 1
