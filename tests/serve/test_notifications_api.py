"""/api/notifications and /metrics: an operator sees what nobody took, has it tried again, gives it up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.model.subscription import Event, Filter, Subscription
from gateway.serve.http import create_app
from gateway.storage.opening import Storage
from tests.mhd_parts import settings

ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Storage]:
    with app.storage(settings(tmp_path)) as found:
        one = Subscription(ID, "dsub", "active", "t", Filter("document"), "http://a", "full", "n", "2026")
        found.subscriptions.add(one, Event(ID, object="1"), Event(ID, object="2"))
        found.subscriptions.stop(ID)
        yield found


@pytest.fixture
def client(parts: Storage, tmp_path: Path) -> Any:
    return create_app(app.Node(settings(tmp_path), parts).http({})).test_client()


def test_listed_and_counted(client: Any) -> None:
    found = client.get("/api/notifications").json
    assert found["counts"] == {"open": 0, "held": 0, "parked": 2}
    assert [(one["event"], one["address"], one["face"]) for one in found["parked"]] == [(1, "http://a", "dsub"), (2, "http://a", "dsub")]  # fmt: skip
    assert 'musubi_notifications{state="parked"} 2' in client.get("/metrics").text


def test_requeued_and_dropped(client: Any, parts: Storage) -> None:
    first, second = (one["number"] for one in client.get("/api/notifications").json["parked"])
    assert client.post("/api/notifications/$drop", json={"numbers": [second]}).json == {"dropped": 1}
    assert client.post("/api/notifications/$requeue", json={}).json == {"requeued": 1}
    assert parts.subscriptions.counts() == {"open": 1, "held": 0, "parked": 0}
    assert client.post("/api/notifications/$drop", json={"numbers": [first]}).json == {"dropped": 0}


@pytest.mark.parametrize("body", [{}, {"numbers": []}, {"numbers": ["1"]}, {"numbers": [True]}, {"numbers": 1}])
def test_what_is_refused(client: Any, parts: Storage, body: dict[str, Any]) -> None:
    assert client.post("/api/notifications/$drop", json=body).status_code == 400
    assert parts.subscriptions.counts()["parked"] == 2
