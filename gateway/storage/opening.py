"""Opens a node's storage: every port over one database and one blob directory. Called by app.py alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.errors import ConfigurationError, Unavailable
from gateway.model.clock import Clock
from gateway.ports import Derivations
from gateway.storage.audit import AuditTable, OutboxTable, instant
from gateway.storage.blobs import BlobStore
from gateway.storage.documents import DocumentTable
from gateway.storage.engines import WRITER_CACHE_KIB, Lookups, open_engine
from gateway.storage.identities import IdentityTable
from gateway.storage.keeping import Store
from gateway.storage.peers import CorrelationTable, PeerHealthTable
from gateway.storage.persons import PersonTable
from gateway.storage.reindex import reindex
from gateway.storage.resources import ResourceTable
from gateway.storage.upgrade import upgrade
from gateway.storage.writer import Writer


@dataclass(frozen=True, slots=True)
class Storage:
    """The ports, built. `close` finishes what was handed to the writer."""

    engine: Engine
    writer: Writer
    resources: ResourceTable
    documents: DocumentTable
    blobs: BlobStore
    identities: IdentityTable
    audit: AuditTable
    outbox: OutboxTable
    keeping: Store
    persons: PersonTable
    health: PeerHealthTable
    correlations: CorrelationTable
    lookups: Lookups

    def close(self) -> None:
        self.writer.close()
        self.lookups.close()
        self.engine.dispose()


def open_storage(url: str, blob_directory: Path, *, affinity_domain: str, derive: Derivations, clock: Clock) -> Storage:
    """Brings the database up to date and opens it. Raises ConfigurationError when it is none of ours, Unavailable when
    it cannot be reached or stays locked."""
    engine = open_engine(url)
    try:
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        upgrade(engine)
    except OperationalError as error:
        engine.dispose()
        raise Unavailable(f"[database] url: {error.orig}") from None
    except DBAPIError as error:
        engine.dispose()
        raise ConfigurationError(f"[database] url: {error.orig}") from None
    except OSError as error:
        raise ConfigurationError(f"[database] url: {error.strerror}") from None
    writer = Writer(open_engine(url, connections=1, cache_kib=WRITER_CACHE_KIB))
    reindex(writer, derive, instant(clock.now()))
    blobs = BlobStore(engine, blob_directory)
    lookups = Lookups(engine)
    identities = IdentityTable(lookups, affinity_domain)
    return Storage(
        engine=engine,
        writer=writer,
        resources=ResourceTable(engine),
        documents=DocumentTable(engine, affinity_domain),
        blobs=blobs,
        identities=identities,
        audit=AuditTable(writer, clock),
        outbox=OutboxTable(engine, writer, clock),
        keeping=Store(engine, writer, blobs, derive, clock),
        persons=PersonTable(lookups, identities, writer, derive, clock, affinity_domain),
        health=PeerHealthTable(engine, writer),
        correlations=CorrelationTable(engine, writer, clock),
        lookups=lookups,
    )


@contextmanager
def opened(
    url: str, blob_directory: Path, *, affinity_domain: str, derive: Derivations, clock: Clock
) -> Iterator[Storage]:
    storage = open_storage(url, blob_directory, affinity_domain=affinity_domain, derive=derive, clock=clock)
    try:
        yield storage
    finally:
        storage.close()
