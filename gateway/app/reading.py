"""Files into the store, and what they are like."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from gateway.app.configured import reading_rules
from gateway.codec import ssmix2
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.services.ingest.files import walk
from gateway.services.ingest.reading import make_reader
from gateway.services.ingest.run import Ingestor
from gateway.services.ingest.workers import read_all
from gateway.services.notebooks import owner_of
from gateway.services.quality import Quality, make_quality_reader, merged
from gateway.settings import Settings
from gateway.storage.opening import Storage


def ingestor(settings: Settings, parts: Storage, facility: str = "", patient: PatientId | None = None) -> Ingestor:
    rules = replace(reading_rules(settings, facility), patient=patient)
    return Ingestor(
        keeping=parts.keeping,
        audit=parts.audit,
        make_reader=partial(make_reader, rules),
        ignored=lambda name: bool(ssmix2.ignored(name)),
        owner=owner_of(patient, parts.identities, parts.resources, UNRESTRICTED) if patient else None,
    )


def quality(settings: Settings, paths: Sequence[str], *, facility: str = "", workers: int = 0) -> Quality:
    """What a storage or a feed is like, counted. Raises Unavailable when a worker process dies."""
    found = (one for one in walk(paths, lambda name: bool(ssmix2.ignored(name))) if one is not None)
    # Workers only know that their reader has `read`.
    reader = cast(Any, partial(make_quality_reader, reading_rules(settings, facility)))
    return merged(cast(Iterator[Quality], read_all(found, reader, workers or settings.ingest.workers)))


def quality_of_node(settings: Settings, parts: Storage) -> Quality:
    """The same of the original messages that the node's current documents were made of."""
    reader = make_quality_reader(reading_rules(settings))

    def counted() -> Iterator[Quality]:
        for address in parts.documents.originals(UNRESTRICTED):
            with parts.blobs.open(address) as stream:
                yield reader.count(stream.read(), "")

    return merged(counted())
