"""Subscriptions and their queue as tables. Implements ports.Subscriptions."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from gateway.model.caller import Caller
from gateway.model.clock import Clock
from gateway.model.document import CodeFilter
from gateway.model.subscription import Event, Filter, Notification, Subscription
from gateway.storage.audit import instant
from gateway.storage.engines import Driver, Lookups
from gateway.storage.schema import notification, subscription
from gateway.storage.writer import Writer

KEPT: Final = 100
"""Delivered events of a subscription that can still be asked for ($events)."""
_COLUMNS = "n, subscription, number, happening, object, published, created, attempts, due, state"
_SELF: Final = ("id", "face", "status", "address", "expires", "events", "error")
"""Fields that are columns of their own."""


class SubscriptionTable:
    def __init__(self, lookups: Lookups, writer: Writer, clock: Clock) -> None:
        self._ask, self._writer, self._clock = lookups, writer, clock

    def add(self, one: Subscription, *first: Event) -> None:
        def act(driver: Driver) -> None:
            row = (driver.number("subscription"), one.id, one.face, one.status, one.address, one.expires, one.events,
                   one.error, _body(one))  # fmt: skip
            driver.insert(subscription, [row])
            self._queue(driver, first)

        self._writer.run(act)

    def get(self, id_: str) -> Subscription | None:
        rows = self._ask.rows(f"{_SELECT} WHERE id = ?", (id_,))
        return _subscription(rows[0]) if rows else None

    def all(self, face: str = "") -> list[Subscription]:
        where, values = (" WHERE face = ?", (face,)) if face else ("", ())
        return [_subscription(row) for row in self._ask.rows(f"{_SELECT}{where} ORDER BY n", values)]

    def change(self, one: Subscription, *last: Event) -> None:
        def act(driver: Driver) -> None:
            driver.run(
                "UPDATE subscription SET status = ?, address = ?, expires = ?, error = ?, body = ? WHERE id = ?",
                (one.status, one.address, one.expires, one.error, _body(one), one.id),
            )
            self._queue(driver, last)

        self._writer.run(act)

    def remove(self, id_: str) -> None:
        def act(driver: Driver) -> None:
            driver.run("DELETE FROM notification WHERE subscription = ?", (id_,))
            driver.run("DELETE FROM subscription WHERE id = ?", (id_,))

        self._writer.run(act)

    def queue(self, jobs: Sequence[int], events: Sequence[Event]) -> None:
        now = instant(self._clock.now())

        def act(driver: Driver) -> None:
            driver.many("UPDATE outbox SET done = ? WHERE n = ? AND done IS NULL", [(now, job) for job in jobs])
            self._queue(driver, events)

        self._writer.run(act)

    def due(self, now: str, limit: int) -> list[Notification]:
        first = "n IN (SELECT MIN(n) FROM notification WHERE state = 'open' GROUP BY subscription)"
        return self._notifications(f"{first} AND due <= ? ORDER BY n LIMIT ?", now, limit)

    def delivered(self, n: int) -> None:
        def act(driver: Driver) -> None:
            driver.run("UPDATE notification SET state = 'done', attempts = attempts + 1 WHERE n = ?", (n,))
            driver.run(
                "DELETE FROM notification WHERE state = 'done' AND subscription ="
                " (SELECT subscription FROM notification WHERE n = ?) AND number <="
                " (SELECT number FROM notification WHERE n = ?) - ? AND number > 0",
                (n, n, KEPT),
            )
            driver.run(
                "DELETE FROM notification WHERE state = 'done' AND number = 0 AND n < ? AND subscription ="
                " (SELECT subscription FROM notification WHERE n = ?)",
                (n, n),
            )

        self._writer.run(act)

    def failed(self, n: int, due: str, *, parked: bool) -> None:
        sql = "UPDATE notification SET attempts = attempts + 1, due = ?, state = ? WHERE n = ? AND state = 'open'"
        self._writer.run(lambda driver: driver.run(sql, (due, "parked" if parked else "open", n)))

    def stop(self, subscription: str) -> None:
        sql = "UPDATE notification SET state = 'parked' WHERE subscription = ? AND state = 'open'"
        self._writer.run(lambda driver: driver.run(sql, (subscription,)))

    def youngest(self, subscription: str) -> str:
        rows = self._ask.rows("SELECT MAX(created) FROM notification WHERE subscription = ?", (subscription,))
        return rows[0][0] or ""

    def parked(self, limit: int = 1000) -> list[Notification]:
        return self._notifications("state = 'parked' ORDER BY n LIMIT ?", limit)

    def counts(self) -> dict[str, int]:
        sql = "SELECT state, COUNT(*) FROM notification WHERE state <> 'done' GROUP BY state"
        return {"open": 0, "held": 0, "parked": 0} | {state: int(number) for state, number in self._ask.rows(sql)}

    def requeue(self, n: int) -> bool:
        sql = "UPDATE notification SET attempts = 0, due = '', state = 'open' WHERE n = ? AND state = 'parked'"
        return self._writer.run(lambda driver: driver.run(sql, (n,))) > 0

    def drop(self, n: int) -> bool:
        sql = "DELETE FROM notification WHERE n = ? AND state = 'parked'"
        return self._writer.run(lambda driver: driver.run(sql, (n,))) > 0

    def held(self, subscriptions: Sequence[str], limit: int) -> list[Notification]:
        found: list[Notification] = []
        for id_ in subscriptions:
            found += self._notifications("subscription = ? AND state = 'held' ORDER BY n LIMIT ?", id_, limit)
        return sorted(found)[:limit]

    def since(self, subscription: str, first: int, last: int) -> list[Notification]:
        where = "subscription = ? AND happening = 'event' AND number BETWEEN ? AND ? ORDER BY n"
        return self._notifications(where, subscription, first, last)

    def _notifications(self, where: str, *values: object) -> list[Notification]:
        rows = self._ask.rows(f"SELECT {_COLUMNS} FROM notification WHERE {where}", values)
        return [Notification._make((*row[:5], bytes(row[5] or b""), *row[6:])) for row in rows]

    def _queue(self, driver: Driver, events: Iterable[Event]) -> None:
        """Each with its number; what goes to a pull point is held there."""
        now = instant(self._clock.now())
        rows: list[tuple[object, ...]] = []
        for event in events:
            known = driver.row("SELECT events, address FROM subscription WHERE id = ?", (event.subscription,))
            if known is None:
                continue
            number = 0
            if event.happening == "event":
                number = known[0] + 1
                driver.run("UPDATE subscription SET events = ? WHERE id = ?", (number, event.subscription))
            state = "held" if known[1].startswith("pull-point:") else "open"
            rows.append((driver.number("notification"), event.subscription, number, event.happening, event.object,
                         event.published or None, now, 0, "", state))  # fmt: skip
        driver.insert(notification, rows)


_SELECT = f"SELECT {', '.join(_SELF)}, body FROM subscription"


def _body(one: Subscription) -> str:
    rest = {name: value for name, value in asdict(one).items() if name not in _SELF}
    return orjson.dumps(rest).decode()


def _subscription(row: Sequence[Any]) -> Subscription:
    rest: dict[str, Any] = orjson.loads(row[len(_SELF)])
    given = rest.pop("filter")
    codes = tuple((name, CodeFilter(tuple(map(tuple, one["values"])))) for name, one in given["codes"])
    made = Filter(
        given["kind"], given["patient"], codes, tuple(given["authorPerson"]),
        tuple(map(tuple, given["referenceIdList"])), tuple(given["sourceId"]),
        tuple((at, tuple(values)) for at, values in given.get("names", ())), tuple(given.get("ids", ())),
    )  # fmt: skip
    claims = rest.pop("claims", None)
    if claims is not None:
        said: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in claims.items()}
        claims = Caller(**said)
    return Subscription(**dict(zip(_SELF, row, strict=False)), filter=made, claims=claims, **rest)
