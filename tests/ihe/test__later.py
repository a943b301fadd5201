"""Answers that are delivered later: to whom, how often, how many may wait."""

import threading
from typing import Any

import pytest
import requests

from gateway.ihe._later import Deliveries, allowed
from tests.outbox_fake import FakeOutbox


class Reply:
    def __init__(self, status: int) -> None:
        self.status_code = status

    def __enter__(self) -> "Reply":
        return self

    def __exit__(self, *error: object) -> None: ...


class Session:
    """Answers with what it was given, one a post; then 200."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes, self.posted, self.done = list(outcomes), list[tuple[str, bytes]](), threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def post(self, url: str, **arguments: Any) -> Any:
        assert arguments["allow_redirects"] is False
        self.gate.wait(5)
        self.posted.append((url, arguments["data"]))
        outcome = self.outcomes.pop(0) if self.outcomes else 200
        if not self.outcomes:
            self.done.set()
        if isinstance(outcome, Exception):
            raise outcome
        return Reply(outcome)


@pytest.mark.parametrize(
    ("outcomes", "posts"),
    [([202], 1), ([500, 200], 2), ([requests.ConnectionError(), 200], 2), ([500, 500, 500], 3), ([302, 302, 302], 3)],
)
def test_a_delivery_is_tried_again_and_given_up(outcomes: list[Any], posts: int) -> None:
    session = Session(*outcomes)
    later = Deliveries(session, FakeOutbox(), pauses_s=(0.0, 0.0, 0.0))
    assert later.put("http://x/", "urn:a", b"<a/>")
    assert session.done.wait(5)
    later.close()
    assert session.posted == [("http://x/", b"<a/>")] * posts


def test_an_error_of_ours_does_not_end_the_thread() -> None:
    session = Session(ValueError("secret"), 200)
    later = Deliveries(session, FakeOutbox(), pauses_s=(0.0,))
    assert later.put("http://x/", "urn:a", b"1")
    assert later.put("http://x/", "urn:a", b"2")
    assert session.done.wait(5)
    later.close()
    assert [data for _, data in session.posted] == [b"1", b"2"]


def test_the_queue_is_bounded_and_closes() -> None:
    session = Session(200)
    session.gate.clear()
    later = Deliveries(session, FakeOutbox(), most=2, pauses_s=(0.0,))
    assert [later.put("http://x/", "urn:a", b"") for _ in range(4)] == [True, True, False, False]
    session.gate.set()
    later.close()
    assert later.put("http://x/", "urn:a", b"") is False


def test_what_waits_is_delivered_after_a_restart() -> None:
    outbox, away = FakeOutbox(), Session(500)
    later = Deliveries(away, outbox, pauses_s=(0.0, 60.0))
    assert later.put("http://x/", "urn:a", "<答/>".encode())
    assert away.done.wait(5)
    later.close()
    assert [job.attempts for job in outbox.jobs.values()] == [1]
    back = Session(202)
    later = Deliveries(back, outbox, pauses_s=(0.0, 60.0))
    assert back.done.wait(5)
    later.close()
    assert back.posted == [("http://x/", "<答/>".encode())] and not outbox.jobs


def test_one_that_was_never_used_closes_at_once() -> None:
    Deliveries(Session(), FakeOutbox()).close()


@pytest.mark.parametrize(
    ("address", "loopback", "found"),
    [
        ("https://gw.example/xcpd/async", False, True),
        ("https://gw.example:443/other", False, True),
        ("http://gw.example/xcpd", False, False),
        ("https://gw.example:8443/xcpd", False, False),
        ("https://gw.example.evil/xcpd", False, False),
        ("https://user@gw.example/xcpd", False, False),
        ("http://127.0.0.1:9/x", False, False),
        ("http://127.0.0.1:9/x", True, True),
        ("http://localhost:9/x", True, True),
        ("http://[::1]:9/x", True, True),
        ("http://10.0.0.1/x", True, False),
        ("http://localhost.evil/x", True, False),
        ("ftp://127.0.0.1/x", True, False),
        ("http://[::1/x", True, False),
        ("http://127.0.0.1:99999/x", True, False),
        ("", True, False),
    ],
)
def test_answers_go_to_peers_only(address: str, loopback: bool, found: bool) -> None:
    assert allowed(["https://gw.example/xcpd", "", "nonsense"], loopback=loopback)(address) is found
