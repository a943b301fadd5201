"""What is known of other communities, as tables. Implements ports.PeerHealth and ports.Correlations.

Nobody waits for these writes: what is lost in a crash is learnt again by asking.
"""

import json
from contextlib import suppress

from sqlalchemy import Engine, select

from gateway.errors import Unavailable
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.ports import Correlated, Health
from gateway.storage.engines import Driver
from gateway.storage.schema import peer_correlation, peer_health
from gateway.storage.writer import Writer

_EXPIRED_AT_ONCE = 100
"""Expired rows removed with one new one, so that the table stays as small as what is known."""


class PeerHealthTable:
    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine, self._writer = engine, writer

    def load(self) -> list[Health]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(peer_health)).all()
        return [
            Health(home, failures, float(pause_s or 0), float(until or 0), last)
            for home, failures, pause_s, until, last in rows
        ]

    def save(self, health: Health) -> None:
        row = (health.home, health.failures, f"{health.pause_s:.3f}", f"{health.open_until_s:.3f}", health.last_success)

        def act(driver: Driver) -> None:
            driver.run("DELETE FROM peer_health WHERE home = ?", (health.home,))
            driver.insert(peer_health, [row])

        with suppress(Unavailable):  # the node is being closed
            self._writer.submit(act)


class CorrelationTable:
    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine, self._writer, self._clock = engine, writer, clock

    def of(self, person: str) -> list[Correlated]:
        wanted = select(peer_correlation).where(
            peer_correlation.c.person == person, peer_correlation.c.expires_s > int(self._clock.now().timestamp())
        )
        with self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        return [
            Correlated(person, home, tuple(PatientId(*pair) for pair in json.loads(ids)), basis, float(expires_s))
            for person, home, ids, basis, expires_s in rows
        ]

    def put(self, correlated: Correlated) -> None:
        ids = json.dumps([(one.value, one.authority) for one in correlated.ids], ensure_ascii=False)
        row = (correlated.person, correlated.home, ids, correlated.basis, int(correlated.expires_s))
        now = int(self._clock.now().timestamp())

        def act(driver: Driver) -> None:
            driver.run(
                "DELETE FROM peer_correlation WHERE (person, home) IN"
                " (SELECT person, home FROM peer_correlation WHERE expires_s < ? LIMIT ?)",
                (now, _EXPIRED_AT_ONCE),
            )
            driver.run("DELETE FROM peer_correlation WHERE person = ? AND home = ?", row[:2])
            driver.insert(peer_correlation, [row])

        with suppress(Unavailable):
            self._writer.submit(act)

    def drop(self, person: str, home: str) -> None:
        with suppress(Unavailable):
            self._writer.submit(
                lambda driver: driver.run("DELETE FROM peer_correlation WHERE person = ? AND home = ?", (person, home))
            )
