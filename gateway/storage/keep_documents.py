"""The registry's rows: two entries a file version, their status, and the associations between them.

Status and RPLC are functions of the versions of a key (model/ingest.py), worked out anew whenever a version arrives
or its flag changes. `patientId` and status are columns; the stored XML carries marks for them (codec/ebxml.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from gateway.model.document import APPROVED, DEPRECATED, RPLC, XFRM
from gateway.model.ingest import KeptBlob, KeptDocument, KeptMessage, Version, current_version, replacements
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.schema import association, blob, document, document_code, outbox

NOTIFY = "notify-document"
"""Outbox job of one new entry; its payload is the entryUUID."""


def source_name(version: Version) -> str:
    """Which version of its key a document belongs to."""
    return f"{version.timestamp} {version.sha256}"


def keep_documents(
    driver: Driver,
    messages: Sequence[KeptMessage],
    eid_of: Mapping[str, str],
    now: str,
    current: Mapping[str, Version | None],
) -> None:
    """Registers the documents of new versions. An entry that is already there (equal bytes twice) stays as it is."""
    wanted = [kept.entryUUID for message in messages for kept in message.documents]
    have = {row[0] for row in driver.among('SELECT "entryUUID" FROM document WHERE "entryUUID" IN (@)', wanted)}
    rows: list[tuple[object, ...]] = []
    codes: list[tuple[object, ...]] = []
    links: list[tuple[object, ...]] = []
    jobs: list[tuple[object, ...]] = []
    for message in messages:
        numbers: dict[str, int] = {}
        for kept in message.documents:
            if kept.entryUUID in have:
                continue
            have.add(kept.entryUUID)
            n = numbers[kept.kind] = driver.number("document")
            newest = current[message.key]
            shown = newest is not None and source_name(newest) == source_name(message.version)
            rows.append(_row(n, message, kept, eid_of.get(message.patient, ""), APPROVED if shown else DEPRECATED))
            codes += [(n, *code) for code in kept.codes]
            jobs.append((driver.number("outbox"), NOTIFY, kept.entryUUID, now, None, 0))
        if len(numbers) == 2 and message.transform:
            links.append((numbers["bundle"], numbers["original"], XFRM, message.transform))
    driver.insert(document, rows)
    driver.insert(document_code, codes)
    driver.insert(association, links)
    driver.insert(outbox, jobs)


def restate(
    driver: Driver, derive: Derivations, versions: Mapping[str, Collection[Version]], keys: Iterable[str]
) -> None:
    """Status and RPLC associations of keys of which more than one version is, or was, known."""
    entries: dict[str, dict[tuple[str, str], tuple[int, str, str]]] = {}
    sql = 'SELECT key, source, kind, n, "entryUUID", status FROM document WHERE key IN (@)'
    for key, source, kind, n, entry_uuid, status in driver.among(sql, keys):
        entries.setdefault(key, {})[source, kind] = (n, entry_uuid, status)
    changes: list[tuple[str, int]] = []
    for key, known in entries.items():
        newest = current_version(versions[key])
        for (source, _), (n, _, status) in known.items():
            right = APPROVED if newest is not None and source == source_name(newest) else DEPRECATED
            if status != right:
                changes.append((right, n))
        _replace(driver, derive, versions[key], known)
    driver.many("UPDATE document SET status = ? WHERE n = ?", changes)


def _replace(
    driver: Driver,
    derive: Derivations,
    versions: Collection[Version],
    known: Mapping[tuple[str, str], tuple[int, str, str]],
) -> None:
    """Brings the RPLC rows of one key in step with the chain of its versions: Bundle entries, or the file itself where
    a version is no message and has no Bundle."""
    bundles = {
        source: (n, entry_uuid)
        for (source, kind), (n, entry_uuid, _) in known.items()
        if kind == "bundle" or (source, "bundle") not in known
    }
    wanted: set[tuple[int, int, str]] = set()
    for newer, older in replacements(versions):
        new, old = bundles.get(source_name(newer)), bundles.get(source_name(older))
        if new and old and new != old:
            wanted.add((new[0], old[0], derive.association_id(RPLC, new[1], old[1])))
    have: set[tuple[int, int, str]] = set()
    sql = 'SELECT source, target, "entryUUID" FROM association WHERE type = ? AND source IN (@)'
    have.update(tuple(row) for row in driver.among(sql, [n for n, _ in bundles.values()], (RPLC,)))
    driver.many(
        "DELETE FROM association WHERE source = ? AND target = ? AND type = ?",
        [(source, target, RPLC) for source, target, _ in have - wanted],
    )
    driver.insert(association, [(source, target, RPLC, id_) for source, target, id_ in sorted(wanted - have)])


def keep_blobs(driver: Driver, blobs: Iterable[KeptBlob]) -> None:
    """Rows of the blob table; the file of a large one has been written and synced before this transaction began."""
    new = {bytes.fromhex(one.sha256): one for one in blobs}
    for (address,) in driver.among("SELECT sha256 FROM blob WHERE sha256 IN (@)", new):
        del new[address]
    driver.insert(
        blob,
        [
            (driver.number("blob"), address, one.size, None if one.large else one.content)
            for address, one in new.items()
        ],
    )


def _row(n: int, message: KeptMessage, kept: KeptDocument, eid: str, status: str) -> tuple[object, ...]:
    """In column order of the table."""
    return (
        n, kept.entryUUID, kept.uniqueId, eid, message.patient, message.facility, message.key,
        source_name(message.version), kept.kind, status, *kept[3:-2], kept.xml,
    )  # fmt: skip
