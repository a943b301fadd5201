"""Opens a node's storage: every port over one database and one blob directory. Called by gateway.app alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.errors import ConfigurationError, Unavailable
from gateway.model.clock import Clock
from gateway.ports import Derivations
from gateway.storage import audit_chain
from gateway.storage.audit import AuditTable, OutboxTable, instant
from gateway.storage.audit_search import AuditTrailTable
from gateway.storage.blob_files import FileObjects
from gateway.storage.blobs import BlobStore, Objects
from gateway.storage.consents import ConsentTable, FactsTable
from gateway.storage.documents import DocumentTable
from gateway.storage.emergencies import EmergencyTable
from gateway.storage.engines import Lookups, cause, database_of, open_engine
from gateway.storage.identities import IdentityTable
from gateway.storage.keep_registry import RegistryStore
from gateway.storage.keeping import Store
from gateway.storage.memory import MemoryTable
from gateway.storage.peers import CorrelationTable, PeerHealthTable
from gateway.storage.persons import PersonTable
from gateway.storage.registry import RegistryTable
from gateway.storage.reindex import reindex
from gateway.storage.resources import ResourceTable
from gateway.storage.subscriptions import SubscriptionTable
from gateway.storage.turns import TurnTable
from gateway.storage.upgrade import upgrade
from gateway.storage.writer import Writer


@dataclass(frozen=True, slots=True)
class Storage:
    """The ports, built. `close` finishes what was handed to the writer."""

    engine: Engine
    writer: Writer
    resources: ResourceTable
    documents: DocumentTable
    registry: RegistryTable
    registering: RegistryStore
    blobs: BlobStore
    identities: IdentityTable
    audit: AuditTable
    outbox: OutboxTable
    subscriptions: SubscriptionTable
    keeping: Store
    persons: PersonTable
    memory: MemoryTable
    health: PeerHealthTable
    correlations: CorrelationTable
    lookups: Lookups
    consents: ConsentTable
    facts: FactsTable
    emergencies: EmergencyTable
    trail: AuditTrailTable
    turns: TurnTable

    def close(self) -> None:
        self.writer.close()
        self.lookups.close()
        self.engine.dispose()


def open_storage(url: str, objects: Objects, *, affinity_domain: str, derive: Derivations, clock: Clock) -> Storage:
    """Brings the database up to date and opens it. Raises ConfigurationError when it is none of ours, Unavailable when
    it cannot be reached or stays locked."""
    engine = open_engine(url)
    try:
        database_of(engine).make_room(engine.url)
        upgrade(engine)
    except OperationalError as error:
        engine.dispose()
        raise Unavailable(f"[database] url: {cause(engine, error)}") from None
    except DBAPIError as error:
        engine.dispose()
        raise ConfigurationError(f"[database] url: {cause(engine, error)}") from None
    except OSError as error:
        raise ConfigurationError(f"[database] url: {error.strerror}") from None
    writer = Writer(open_engine(url, connections=1, writer=True), audit_chain.seal)
    audit_chain.seal_older(writer)
    reindex(writer, derive, instant(clock.now()))
    blobs = BlobStore(engine, objects)
    lookups = Lookups(engine)
    identities = IdentityTable(lookups, affinity_domain)
    memory = MemoryTable(lookups, writer)
    memory.sweep(instant(clock.now()))
    registry = RegistryTable(lookups, affinity_domain)
    return Storage(
        engine=engine,
        writer=writer,
        resources=ResourceTable(engine),
        documents=DocumentTable(lookups, registry, identities, affinity_domain),
        registry=registry,
        registering=RegistryStore(writer, clock, affinity_domain),
        blobs=blobs,
        identities=identities,
        audit=AuditTable(writer, clock),
        outbox=OutboxTable(engine, writer, clock),
        subscriptions=SubscriptionTable(lookups, writer, clock),
        keeping=Store(engine, writer, blobs, derive, clock),
        persons=PersonTable(lookups, identities, writer, derive, clock, affinity_domain),
        memory=memory,
        health=PeerHealthTable(engine, writer),
        correlations=CorrelationTable(engine, writer, clock),
        lookups=lookups,
        consents=ConsentTable(lookups, writer, clock),
        facts=FactsTable(lookups),
        emergencies=EmergencyTable(lookups, writer, clock),
        trail=AuditTrailTable(engine, writer),
        turns=TurnTable(writer, clock),
    )


@contextmanager
def opened_trail(url: str) -> Iterator[AuditTrailTable]:
    """The audit trail alone, for reading: nothing is migrated, closed or written. Raises ConfigurationError."""
    engine = open_engine(url)
    try:
        if not database_of(engine).there(engine.url):
            raise ConfigurationError("[database] url: there is no database yet")
        yield AuditTrailTable(engine)
    except DBAPIError as error:
        raise ConfigurationError(f"[database] url: {cause(engine, error)}") from None
    finally:
        engine.dispose()


@contextmanager
def opened(
    url: str, blobs: Objects | Path, *, affinity_domain: str, derive: Derivations, clock: Clock
) -> Iterator[Storage]:
    """`blobs`: where large ones are, or the folder for them."""
    objects = FileObjects(blobs) if isinstance(blobs, Path) else blobs
    storage = open_storage(url, objects, affinity_domain=affinity_domain, derive=derive, clock=clock)
    try:
        yield storage
    finally:
        storage.close()
