"""A small storage from the sandbox, and the parts that ingest it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway.codec import ssmix2
from gateway.codec.packing import pack
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.identity import Authority
from gateway.profiles.validator import Validator
from gateway.sandbox.facilities import TOKYO
from gateway.sandbox.ssmix2 import generate
from gateway.services.ingest import Ingestor, Reader, ReadingRules, derivations
from gateway.storage.opening import Storage, opened
from tests.postgres import url_for
from tests.storage.making import DOMAIN, MEDICAL_ID

AUTHORITIES = (
    Authority(TOKYO.oid, TOKYO.namespace, TOKYO.name, institution=TOKYO.institution),
    Authority(MEDICAL_ID, "MEDICAL-ID", kind="medical-id"),
)
RULES = ReadingRules(AUTHORITIES, "1.2.392.200119.99999.1.2")


def tree(root: Path, *, seed: int = 3, patients: int = 4, files: int = 24) -> Path:
    generate(root, seed=seed, patients=patients, files=files)
    return root


def make_reader(rules: ReadingRules = RULES) -> Reader:
    return Reader(rules, Validator.default().check, pack)


@contextmanager
def node(folder: Path) -> Iterator[tuple[Ingestor, Storage]]:
    clock = Clock(now=lambda: datetime(2026, 6, 1, tzinfo=UTC))
    folder.mkdir(parents=True, exist_ok=True)
    with opened(
        url_for(folder) or f"sqlite:///{folder / 'm.db'}",
        folder / "blobs",
        affinity_domain=DOMAIN,
        derive=derivations(DOMAIN),
        clock=clock,
    ) as store:
        yield (
            Ingestor(store.keeping, store.audit, partial(make_reader, RULES), lambda name: bool(ssmix2.ignored(name))),
            store,
        )


def export(store: Storage) -> list[bytes]:
    """The canonical export without versionId and lastUpdated."""
    found = []
    for one in store.resources.export(UNRESTRICTED):
        head, mark, rest = one.body.partition(b'"versionId":')
        assert mark
        found.append(head + rest.partition(b'Z"')[2].removeprefix(b","))
    return found
