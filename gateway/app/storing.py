"""The node's storage: opened, and what an operator asks of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.app.configured import matching, use_mapping
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.resource import SearchPlan
from gateway.services.ingest.deriving import derivations
from gateway.services.persons.describing import describing
from gateway.services.search import TYPES
from gateway.settings import Settings
from gateway.storage.audit_search import AuditTrailTable
from gateway.storage.blob_files import FileObjects
from gateway.storage.blob_s3 import S3Objects, S3Place
from gateway.storage.blobs import Objects
from gateway.storage.engines import database_of
from gateway.storage.opening import Storage, opened, opened_trail
from gateway.storage.upgrade import differences


def blob_objects(settings: Settings) -> Objects:
    """Where large documents are. Raises ConfigurationError."""
    if folder := settings.blob_directory:
        return FileObjects(folder)
    given = settings.blobs
    place = S3Place(
        given.url,
        given.endpoint,
        given.region,
        settings.secret(given.access_key_file, "[blobs] access_key_file"),
        settings.secret(given.secret_key_file, "[blobs] secret_key_file"),
    )
    return S3Objects(place)


def check_blobs(settings: Settings) -> None:
    """Whether the object store answers and takes something; a folder is looked at otherwise. Raises Unavailable."""
    objects = blob_objects(settings)
    if isinstance(objects, S3Objects):
        objects.check()


@contextmanager
def storage(settings: Settings, clock: Clock | None = None) -> Iterator[Storage]:
    """The node's storage, open. Raises ConfigurationError when it cannot be used."""
    use_mapping(settings)
    with opened(
        settings.database_url,
        blob_objects(settings),
        affinity_domain=settings.community.affinity_domain,
        derive=derivations(settings.community.affinity_domain, describing(matching(settings), settings.matching.mode)),
        clock=clock or Clock(),
    ) as parts:
        yield parts


@contextmanager
def audit_trail(settings: Settings) -> Iterator[AuditTrailTable]:
    """The audit trail, for reading. Raises ConfigurationError."""
    with opened_trail(settings.database_url) as trail:
        yield trail


def integrity(parts: Storage) -> list[str]:
    """What is wrong with the database and its tables, in the database's words; empty when nothing is."""
    with parts.engine.connect() as connection:
        found = database_of(connection).damage(connection)
    tables = differences(parts.engine)
    return found + ([f"{len(tables)} differences of schema"] if tables else [])


def newest(parts: Storage) -> str:
    """meta.lastUpdated of the youngest resource (FHIR instant); empty for an empty store."""
    plans = (SearchPlan(type_, None, (), 1, sort=("-_lastUpdated",), with_total=False) for type_ in TYPES)
    pages = (parts.resources.search(plan, UNRESTRICTED) for plan in plans)
    return max((row.last_updated for page in pages for row in page.rows), default="")
