"""ITI-69 and ITI-70: a place where notifications wait until they are fetched, in their order, a number at a time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from gateway.ihe._dsub import ACTIONS, WSNT
from gateway.model.caller import Caller
from tests.ihe.test_iti52 import Dsub, notifying, text

GET = f"{ACTIONS}PullPoint/GetMessagesRequest"
DESTROY = f"{ACTIONS}PullPoint/DestroyPullPointRequest"


@pytest.fixture
def dsub(tmp_path: Path) -> Iterator[Dsub]:
    with notifying(tmp_path) as found:
        yield found


def create(dsub: Dsub) -> str:
    status, made = dsub.ask(
        f"{ACTIONS}CreatePullPoint/CreatePullPointRequest", f'<w:CreatePullPoint xmlns:w="{WSNT}"/>'
    )
    assert status == 200 and made is not None
    return text(made, "Address")


def fetch(dsub: Dsub, point: str, most: str = "") -> tuple[int, list[etree._Element]]:
    number = f"<w:MaximumNumber>{most}</w:MaximumNumber>" if most else ""
    status, answer = dsub.ask(GET, f'<w:GetMessages xmlns:w="{WSNT}">{number}</w:GetMessages>', point)
    assert answer is not None
    return status, answer.findall(".//{*}NotificationMessage")


def test_fetched_in_order_a_number_at_a_time(dsub: Dsub) -> None:
    point = create(dsub)
    dsub.subscribe(to=point)
    for number in (1, 2, 3):
        dsub.register(number)
    dsub.broker.run_once()
    found = [
        one.find(".//{*}ExtrinsicObject").get("id")  # type: ignore[union-attr]
        for most in ("2", "2", "2")
        for one in fetch(dsub, point, most)[1]
    ]
    assert len(found) == len(set(found)) == 3 and dsub.consumer.sent == []
    assert dsub.broker.subscriptions.counts()["held"] == 0


@pytest.mark.parametrize("most", ["x", "-1", "1.5", "9999999999"])
def test_a_number_that_is_none(dsub: Dsub, most: str) -> None:
    assert fetch(dsub, create(dsub), most)[0] == 500


def test_another_node_has_no_part_in_it(dsub: Dsub) -> None:
    point, other = create(dsub), replace(dsub, caller=Caller(node="b"))
    assert fetch(other, point)[0] == 500
    other.subscribe(500, to=point)
    status, fault = other.ask(DESTROY, f'<w:DestroyPullPoint xmlns:w="{WSNT}"/>', point)
    assert status == 500 and fault is not None and fault.find(".//{*}UnableToDestroyPullPointFault") is not None


def test_destroyed_with_what_leads_to_it(dsub: Dsub) -> None:
    point = create(dsub)
    dsub.subscribe(to=point)
    assert dsub.ask(DESTROY, f'<w:DestroyPullPoint xmlns:w="{WSNT}"/>', point)[0] == 200
    assert dsub.broker.subscriptions.all() == [] and fetch(dsub, point)[0] == 500
