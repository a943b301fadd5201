"""Composition root: settings in, running parts out. The one place that knows every layer at once."""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, BinaryIO, cast

import requests
from requests.adapters import HTTPAdapter

from gateway import ihe
from gateway.codec import ssmix2
from gateway.errors import InvalidParameter
from gateway.fhir.server import FhirServices
from gateway.ihe._client import Call, Peer, Poster
from gateway.ihe._soap import WireResponse
from gateway.ihe.initiating import ask_of
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.identity import PatientId
from gateway.model.resource import SearchPlan
from gateway.profiles.validator import Validator
from gateway.serve.http import FederatedQuestion, HttpServices, create_app
from gateway.serve.server import HttpServer, run_until_signal
from gateway.services.documents import DocumentServices
from gateway.services.federate import Ask, Community, Question, ask_all, own_registry
from gateway.services.ingest.deriving import derivations
from gateway.services.ingest.messages import ReadingRules
from gateway.services.ingest.reading import make_reader
from gateway.services.ingest.run import Ingestor
from gateway.services.search import TYPES, SearchRules, system_aliases
from gateway.settings import Peer as PeerSettings
from gateway.settings import Settings, check_may_serve
from gateway.storage.opening import Storage, opened
from gateway.storage.upgrade import differences
from gateway.translate.context import Facilities

ROLES = ("http",)
"""What `musubi serve` can run in this version."""

_LOG = logging.getLogger("gateway.app")
_DOCUMENT_TYPES = {"lab": "lab", "rx": "rx", "documents": "document"}
"""Words of the command line and /api/query -> those of services/federate."""


def software_version() -> str:
    try:
        return version("musubi-gateway")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"


@cache
def validator() -> Validator:
    """R4, JP Core and the packages of MUSUBI_FHIR_PACKAGES; compiled on first use, once a process."""
    return Validator.from_environment()


def facilities(settings: Settings) -> Facilities:
    return Facilities(authority.authority() for authority in settings.authorities)


@contextmanager
def storage(settings: Settings, clock: Clock | None = None) -> Iterator[Storage]:
    """The node's storage, open. Raises ConfigurationError when it cannot be used."""
    with opened(
        settings.database_url,
        settings.blob_directory,
        affinity_domain=settings.community.affinity_domain,
        derive=derivations(settings.community.affinity_domain),
        clock=clock or Clock(),
    ) as parts:
        yield parts


def ingestor(settings: Settings, parts: Storage, facility: str = "") -> Ingestor:
    rules = ReadingRules(
        authorities=tuple(authority.authority() for authority in settings.authorities),
        repository=settings.community.repository,
        facility=facility,
        max_file_bytes=settings.ingest.max_file_bytes,
    )
    return Ingestor(
        keeping=parts.keeping,
        audit=parts.audit,
        make_reader=partial(make_reader, rules),
        ignored=lambda name: bool(ssmix2.ignored(name)),
    )


def scope_of(caller: Caller) -> Scope:
    """Policy of open mode: the loopback caller sees everything. Enforced mode does not start yet (settings.py)."""
    return UNRESTRICTED


@dataclass(frozen=True, slots=True)
class Node:
    """A running node's services over one open storage."""

    settings: Settings
    parts: Storage
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)

    def documents(self) -> DocumentServices:
        community = self.settings.community
        return DocumentServices(
            documents=self.parts.documents,
            blobs=self.parts.blobs,
            identities=self.parts.identities,
            audit=self.parts.audit,
            home=community.id,
            affinity_domain=community.affinity_domain,
            repository=community.repository,
            scope_of=scope_of,
            clock=self.clock,
            chance=self.chance,
        )

    def fhir(self) -> FhirServices:
        community, http = self.settings.community, self.settings.http
        return FhirServices(
            resources=self.parts.resources,
            audit=self.parts.audit,
            rules=SearchRules(
                base=f"{http.url}/fhir",
                aliases=system_aliases(tuple(one.authority() for one in self.settings.authorities)),
                affinity_domain=community.affinity_domain,
            ),
            cursor_key=self.chance.token(32),
            version=software_version(),
            started=self.clock.now().isoformat(timespec="seconds"),
            mode=self.settings.security.mode,
        )

    def http(self, ready: Mapping[str, Any]) -> HttpServices:
        documents = self.documents()

        def soap(path: str, content_type: str, body: BinaryIO, caller: Caller) -> WireResponse:
            return ihe.dispatch(path, content_type, body, documents, caller)

        return HttpServices(
            fhir=self.fhir(),
            soap=soap,
            federate=partial(self.federate, documents),
            scope=scope_of,
            ready=lambda: {role: bool(listens()) for role, listens in ready.items()},
            audit=self.parts.audit,
            clock=self.clock,
            chance=self.chance,
            mode=self.settings.security.mode,
            max_body_bytes=self.settings.http.max_body_bytes,
        )

    def federate(self, documents: DocumentServices, question: FederatedQuestion, caller: Caller) -> dict[str, Any]:
        """One question to this node's registry and to every wanted peer, under one deadline."""
        scope = scope_of(caller)
        abroad = self._shared_id(question.patient, scope)
        types = tuple(_DOCUMENT_TYPES[word] for word in question.types)
        own = self.settings.community
        communities = [Community(own.id, own.name, own_registry(documents, scope))]
        with requests.Session() as session:
            # A proxy or a .netrc of the environment is for people's browsers; peers stand in the configuration.
            session.trust_env = False
            adapter = HTTPAdapter(pool_maxsize=max(10, len(self.settings.peers)))
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            call = Call(cast(Poster, session), self.clock, self.chance)
            communities += [
                Community(peer.id, peer.name, _ask_peer(peer, call, abroad)) for peer in self.settings.peers if peer.xca
            ]
            chosen = _chosen(communities, question.communities)
            deadline_s = min(question.deadline_s or self.settings.federation.deadline_s, 300.0)
            answer = ask_all(Question(question.patient, types), chosen, deadline_s, self.clock)
        silent = any(outcome.outcome not in ("ok", "nothing") for outcome in answer.communities)
        self.parts.audit.record(
            AuditRecord(
                event="110112",
                transaction="federated-query",
                action="E",
                outcome=4 if silent else 0,
                actor=caller.user or caller.node,
                address=caller.address,
                patient=str(question.patient),
                object="federated-query",
                detail=" ".join(f"{outcome.community}={outcome.outcome}" for outcome in answer.communities),
            )
        )
        return answer.as_json()

    def _shared_id(self, patient: PatientId, scope: Scope) -> PatientId:
        """The id other communities can know the person by: the medical ID, else the insured-person id, else the id
        as it was given."""
        eid = self.parts.identities.enterprise_id(patient, scope)
        known = self.parts.identities.identifiers(eid, scope) if eid else ()
        for kind in ("medical-id", "insurer"):
            shared = {authority.oid for authority in self.settings.authorities if authority.kind == kind}
            if found := [identifier for identifier in known if identifier.authority in shared]:
                return patient if patient in found else found[0]
        return patient


def _ask_peer(settings: PeerSettings, call: Call, patient: PatientId) -> Ask:
    peer = Peer(settings.id, settings.xca, settings.name, settings.documents_per_request)
    ask = ask_of(peer, call)

    def limited(question: Question, left_s: float) -> Sequence[Any]:
        return ask(question._replace(patient=patient), min(left_s, settings.timeout_s))

    return limited


def _chosen(communities: list[Community], wanted: tuple[str, ...] | None) -> list[Community]:
    if wanted is None:
        return communities
    chosen = [community for community in communities if community.id in wanted or community.name in wanted]
    missing = [word for word in wanted if not any(word in (c.id, c.name) for c in communities)]
    if missing:
        raise InvalidParameter(f"no such community: {', '.join(missing)}")
    return chosen


def integrity(parts: Storage) -> list[str]:
    """What is wrong with the database file and its tables, in the database's words; empty when nothing is."""
    with parts.engine.connect() as connection:
        found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(10)")]
    tables = differences(parts.engine)
    return [words for words in found if words != "ok"] + ([f"{len(tables)} differences of schema"] if tables else [])


def newest(parts: Storage) -> str:
    """meta.lastUpdated of the youngest resource (FHIR instant); empty for an empty store."""
    plans = (SearchPlan(type_, None, (), 1, sort=("-_lastUpdated",), with_total=False) for type_ in TYPES)
    pages = (parts.resources.search(plan, UNRESTRICTED) for plan in plans)
    return max((row.last_updated for page in pages for row in page.rows), default="")


def serve(settings: Settings, roles: tuple[str, ...] = ROLES, *, announce: Callable[[], None] = lambda: None) -> None:
    """Runs a node until SIGTERM or SIGINT. Raises ConfigurationError and Unavailable before it listens; `announce`
    is called when it does."""
    check_may_serve(settings)
    with storage(settings) as parts:
        listening: dict[str, Any] = {}
        node = Node(settings, parts)
        server = HttpServer(settings, create_app(node.http(listening)))
        listening["http"] = lambda: server.listening
        _LOG.info("process %s serves %s", os.getpid(), ", ".join(roles))
        run_until_signal(server, announce)
        _LOG.info("stopped; %s threads left", threading.active_count() - 1)
