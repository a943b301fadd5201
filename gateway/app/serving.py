"""Processes: listeners and workers of `musubi serve`, from start to clean stop."""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gateway.app.node import Node
from gateway.app.storing import storage
from gateway.codec.mllp import Block
from gateway.ihe._v2 import Replies, answer, failed
from gateway.ihe._v3 import Later
from gateway.model.audit import AuditRecord
from gateway.model.clock import Chance, Clock
from gateway.serve.authentication import Connected
from gateway.serve.enforcing import contexts_of, enforcement
from gateway.serve.housekeeping import Sweep, in_turn
from gateway.serve.http import create_app
from gateway.serve.metrics import MllpMetrics
from gateway.serve.mllp import MllpServer
from gateway.serve.server import HttpServer, Listener, Together, run_until_signal
from gateway.serve.trust_work import TrustParts, works
from gateway.serve.worker import Worker
from gateway.settings import Settings, check_may_serve
from gateway.storage.opening import Storage

ROLES = ("http", "mllp")
"""What `musubi serve` can run in this version."""

_LOG = logging.getLogger("gateway.app")


def serve(settings: Settings, roles: tuple[str, ...] = ROLES, *, announce: Callable[[], None] = lambda: None) -> None:
    """Runs a node until SIGTERM or SIGINT. Raises ConfigurationError and Unavailable before it listens; `announce`
    is called when it does."""
    check_may_serve(settings, roles)
    clock, chance = Clock(), Chance()
    trust = settings.security.mode == "enforced"
    if trust:
        contexts_of(settings, clock)  # before anything is made
    with storage(settings) as parts:
        enforced = enforcement(settings, parts.audit, clock, chance, parts.memory) if trust else None
        node = Node(settings, parts, clock, chance, enforced)
        with node.deliveries() as later:
            _listen(node, roles, later, announce)


def _listen(node: Node, roles: tuple[str, ...], later: Later, announce: Callable[[], None]) -> None:
    parts, listening = node.parts, dict[str, Any]()
    counts = MllpMetrics()
    listeners: list[Listener] = []
    if "http" in roles:
        shown = counts.render if "mllp" in roles else str
        guard = node.enforced.guard() if node.enforced else None
        http = HttpServer(node.settings, create_app(node.http(listening, shown, later)), guard)
        listening["http"] = lambda: http.listening
        listeners.append(http)
    if "mllp" in roles:
        mllp = _mllp(node, counts)
        listening["mllp"] = lambda: mllp.listening
        listeners.append(mllp)
    listeners.append(_notifying(node))
    listeners.append(Worker(in_turn(parts.turns, "broker", node.broker().run_once)))
    trust = TrustParts(parts.trail, parts.audit, parts.keeping, parts.outbox, parts.identities, node.clock)
    listeners += [
        Worker(in_turn(parts.turns, f"trust-{at}", work)) for at, work in enumerate(works(node.settings, trust))
    ]
    listeners.append(Worker(Sweep(parts.blobs.sweep, parts.turns, node.clock).run_once, 60.0))
    _lived(parts, "110120", roles)
    _LOG.info("process %s serves %s", os.getpid(), ", ".join(roles))
    run_until_signal(Together(*listeners), announce)
    _lived(parts, "110121", roles)
    _LOG.info("stopped; %s threads left", threading.active_count() - 1)


def _notifying(node: Node) -> Worker:
    """What tells other systems of changed ids: in every serving process, and in one of a database at a time."""
    persons, registries = node.notifiers()

    def both() -> bool:
        return any([persons.run_once(), registries.run_once()])

    return Worker(in_turn(node.parts.turns, "notify", both))


def _lived(parts: Storage, type_: str, roles: Sequence[str]) -> None:
    """110100 Application Activity: the node started or stopped."""
    parts.audit.record(AuditRecord("110100", type_, "E", 0, "musubi serve", detail=" ".join(roles)))


def _mllp(node: Node, counts: MllpMetrics) -> MllpServer:
    services, enforced = node.v2(), node.enforced

    def handle(block: Block, address: str) -> Replies:
        return answer(block, address, services)

    def of_node(block: Block, connected: Connected) -> Replies:
        node_id = connected.node.id
        known = replace(services, feed=services.feed.of(node_id), node=node_id, may=connected.node.may)
        return answer(block, connected.address, known)

    def not_handled(block: Block, error: Exception) -> Replies:
        return failed(block, error, services)

    secured = enforced.mllp(of_node) if enforced else None
    per_node = node.settings.security.connections_per_node
    return MllpServer(node.settings.mllp, handle, not_handled, counts, secured, per_node)
