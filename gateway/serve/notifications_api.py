"""/api/notifications: what could not be told to subscribers, for an operator (docs/dsub.md). Holds no patient data.

GET  /api/notifications            counts by state, and the parked ones, oldest first
POST /api/notifications/$requeue   {"numbers": [N, ...]}: tried again; without numbers all that are parked
POST /api/notifications/$drop      {"numbers": [N, ...]}: given up
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask

from gateway.errors import InvalidParameter
from gateway.model.caller import Caller, Scope
from gateway.ports import Subscriptions
from gateway.serve.json_api import Answer, JsonApi
from gateway.services.broker import parked

MOST: Final = 1000
"""Numbers of one request."""


def register(app: Flask, api: JsonApi, subscriptions: Subscriptions) -> None:
    face = NotificationsApi(api, subscriptions)
    api.route(app, "/api/notifications", "GET", "notifications", face.listed)
    api.route(app, "/api/notifications/$requeue", "POST", "notifications-change", face.requeue)
    api.route(app, "/api/notifications/$drop", "POST", "notifications-change", face.drop)


@dataclass(frozen=True, slots=True)
class NotificationsApi:
    """One method a route. Raises GatewayError."""

    api: JsonApi
    subscriptions: Subscriptions

    def listed(self, caller: Caller, scope: Scope) -> Answer:
        return {"counts": self.subscriptions.counts(), "parked": parked(self.subscriptions)}, ""

    def requeue(self, caller: Caller, scope: Scope) -> Answer:
        everything = tuple(one.n for one in self.subscriptions.parked(MOST))
        return {"requeued": self._each(self.subscriptions.requeue, everything)}, ""

    def drop(self, caller: Caller, scope: Scope) -> Answer:
        return {"dropped": self._each(self.subscriptions.drop)}, ""

    def _each(self, act: Callable[[int], bool], default: tuple[int, ...] = ()) -> int:
        given: Any = self.api.object().get("numbers")
        if given is None and default:
            given = list(default)
        whole = isinstance(given, list) and 0 < len(given) <= MOST and all(type(n) is int for n in given)
        if not whole:
            raise InvalidParameter(f'"numbers" is a list of 1 to {MOST} numbers')
        return sum(act(n) for n in given)


def metrics(subscriptions: Subscriptions) -> str:
    """Prometheus text. Holds no address."""
    lines = [
        "# HELP musubi_notifications Notifications of new documents that are not delivered, by state.",
        "# TYPE musubi_notifications gauge",
    ]
    lines += [f'musubi_notifications{{state="{state}"}} {n}' for state, n in sorted(subscriptions.counts().items())]
    return "\n".join(lines) + "\n"
