"""Sending the trail on: in order, at least once, nothing lost by a repository that is away, slow or dies; doubles marked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Unavailable
from gateway.model.audit import AuditRecord, StoredRecord
from gateway.model.clock import Clock
from gateway.services.audit.delivery import SURE_S, Delivery, Destination
from gateway.services.audit.feed import FeedSender
from gateway.services.audit.syslog import SyslogSender
from gateway.storage.opening import Storage
from tests.storage.making import storage

HOME = "urn:oid:1.2"


@dataclass
class Repository:
    """Stands in for both kinds. `lost` is what went into a connection that then broke."""

    confirms: bool = False
    up: bool = True
    taken: list[tuple[int, bool]] = field(default_factory=list)
    fails_after: int = 10**9
    breaks: bool = False

    def check(self) -> None:
        if self.breaks:
            self.breaks = False
            raise Unavailable("closed")

    def send(self, stored: StoredRecord, *, again: bool) -> None:
        if not self.up or self.fails_after <= 0:
            raise Unavailable("away")
        self.fails_after -= 1
        self.taken.append((stored.n, again))


@dataclass
class World:
    store: Storage
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def delivery(self, to: Repository) -> Delivery:
        return Delivery(self.store.trail, self.store.keeping, Clock(lambda: self.now), [Destination("r", to)])

    def record(self, count: int) -> None:
        for _ in range(count):
            self.store.audit.record(AuditRecord("110112", "t", "E", 0, "x"))

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with storage(tmp_path) as store:
        yield World(store)


def test_what_is_confirmed_is_sent_once_also_over_a_restart(world: World) -> None:
    to = Repository(confirms=True)
    world.record(450)
    delivery = world.delivery(to)
    assert delivery.run_once() and not delivery.run_once()
    world.record(3)
    assert world.delivery(to).run_once()  # as after a restart
    assert [n for n, _ in to.taken] == list(range(1, 454))
    assert delivery.waiting() == {"r": 3}


def test_an_hour_without_the_repository_loses_nothing(world: World) -> None:
    to = Repository(confirms=True, up=False)
    delivery = world.delivery(to)
    for _ in range(60):
        world.record(2)
        delivery.run_once()
        world.passes(60)
    to.up = True
    assert delivery.run_once()
    assert [n for n, _ in to.taken] == list(range(1, 121))


def test_a_flapping_repository_gets_all_of_it_in_order(world: World) -> None:
    to = Repository(confirms=True)
    delivery = world.delivery(to)
    for n in range(40):
        world.record(5)
        to.fails_after = n % 7
        delivery.run_once()
        world.passes(61)
    to.fails_after = 10**9
    delivery.run_once()
    assert [n for n, _ in to.taken] == list(range(1, 201))


def test_what_a_broken_connection_may_have_lost_is_sent_again_and_marked(world: World) -> None:
    to = Repository()
    delivery = world.delivery(to)
    world.record(3)
    delivery.run_once()
    world.passes(SURE_S + 1)
    delivery.run_once()  # the connection outlived them
    world.record(3)
    delivery.run_once()
    to.breaks = True
    delivery.run_once()
    world.passes(2)
    delivery.run_once()
    assert to.taken == [(n, False) for n in range(1, 7)] + [(n, True) for n in range(4, 7)]


def test_after_a_crash_what_is_not_sure_is_sent_again_and_marked(world: World) -> None:
    to = Repository()
    world.record(4)
    world.delivery(to).run_once()
    world.record(1)
    world.delivery(to).run_once()
    assert to.taken == [(n, False) for n in range(1, 5)] + [(n, True) for n in range(1, 5)] + [(5, False)]


def test_a_refused_record_is_kept_and_comes_first_next_time(world: World) -> None:
    answers = iter([201, 500, 200, 200])
    bodies: list[str] = []

    def post(body: bytes, headers: object) -> int:
        bodies.append(str(headers))
        return next(answers)

    world.record(3)
    delivery = Delivery(
        world.store.trail, world.store.keeping, Clock(lambda: world.now), [Destination("f", FeedSender(post, HOME))]
    )
    delivery.run_once()
    world.passes(2)
    delivery.run_once()
    assert [one.rpartition("#audit-")[2][:1] for one in bodies] == ["1", "2", "2", "3"]


def test_a_connection_that_cannot_be_made_or_breaks_is_made_anew() -> None:
    made: list[Any] = []

    class Broken:
        def __init__(self) -> None:
            made.append(self)
            self.sent: list[bytes] = []
            self.closed = False

        def send(self, data: bytes) -> None:
            if len(made) == 1:
                raise BrokenPipeError
            self.sent.append(data)

        def broken(self) -> bool:
            return len(made) == 2

        def close(self) -> None:
            self.closed = True

    sender = SyslogSender(Broken, HOME, "node")
    stored = StoredRecord(1, "2026-01-01T00:00:00.000Z", AuditRecord("110112", "t", "E", 0, "x"))
    sender.check()
    with pytest.raises(Unavailable):
        sender.send(stored, again=False)
    assert made[0].closed
    sender.send(stored, again=True)
    assert b"AuditMessage" in made[1].sent[0]
    with pytest.raises(Unavailable):
        sender.check()
    assert made[1].closed
