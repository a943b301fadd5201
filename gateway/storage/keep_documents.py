"""The registry's rows of files: the entries of a version, the SubmissionSet they came in, their status, and the
associations between them.

Status and RPLC are functions of the versions of a key (model/ingest.py), worked out anew whenever a version arrives
or its flag changes. `patientId` and status are columns; the stored XML carries marks for them (codec/ebxml.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from gateway.model.document import APPROVED, DEPRECATED, HAS_MEMBER, ORIGINAL, RPLC, XFRM, member_id
from gateway.model.ingest import KeptBlob, KeptMessage, KeptObject, Version, current_version, replacements
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.schema import association, blob, outbox, registry_code, registry_object

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
    wanted += [message.submission.entryUUID for message in messages if message.submission]
    have = dict(driver.among('SELECT "entryUUID", n FROM registry_object WHERE "entryUUID" IN (@)', wanted))
    rows: list[tuple[object, ...]] = []
    codes: list[tuple[object, ...]] = []
    links: list[tuple[object, ...]] = []
    jobs: list[tuple[object, ...]] = []
    for message in messages:
        numbers: dict[str, int] = {}
        members: list[tuple[int, str]] = []
        for kept in message.documents:
            if kept.entryUUID in have:
                continue
            n = numbers[kept.kind] = have[kept.entryUUID] = driver.number("registry_object")
            newest = current[message.key]
            shown = newest is not None and source_name(newest) == source_name(message.version)
            rows.append(_row(n, message, kept, eid_of.get(message.patient, ""), APPROVED if shown else DEPRECATED))
            members.append((n, kept.entryUUID))
            codes += [(n, *code) for code in kept.codes]
            jobs.append((driver.number("outbox"), NOTIFY, kept.entryUUID, now, None, 0))
        if len(numbers) == 2 and message.transform:
            links.append(_link(driver, numbers["bundle"], numbers["original"], XFRM, message.transform))
        if members and (whole := message.submission):
            if whole.entryUUID not in have:
                n = have[whole.entryUUID] = driver.number("registry_object")
                rows.append(_row(n, message, whole, eid_of.get(message.patient, ""), APPROVED))
                codes += [(n, *code) for code in whole.codes]
            n = have[whole.entryUUID]
            links += [_link(driver, n, member, HAS_MEMBER, member_id(id_), ORIGINAL) for member, id_ in members]
    driver.insert(registry_object, rows)
    driver.insert(registry_code, codes)
    driver.insert(association, links)
    driver.insert(outbox, jobs)


def restate(
    driver: Driver, derive: Derivations, versions: Mapping[str, Collection[Version]], keys: Iterable[str]
) -> None:
    """Status and RPLC associations of keys of which more than one version is, or was, known."""
    entries: dict[str, dict[tuple[str, str], tuple[int, str, str]]] = {}
    sql = (
        'SELECT key, source, kind, n, "entryUUID", status FROM registry_object'
        " WHERE key <> '' AND key IN (@)"  # as the partial index has it
    )
    for key, source, kind, n, entry_uuid, status in driver.among(sql, keys):
        if kind == "set":
            continue  # a submission has taken place, whatever became of its documents
        entries.setdefault(key, {})[source, kind] = (n, entry_uuid, status)
    changes: list[tuple[str, int]] = []
    for key, known in entries.items():
        newest = current_version(versions[key])
        for (source, _), (n, _, status) in known.items():
            right = APPROVED if newest is not None and source == source_name(newest) else DEPRECATED
            if status != right:
                changes.append((right, n))
        _replace(driver, derive, versions[key], known)
    driver.many("UPDATE registry_object SET status = ? WHERE n = ?", changes)


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
    driver.insert(
        association, [_link(driver, source, target, RPLC, id_) for source, target, id_ in sorted(wanted - have)]
    )


def keep_blobs(driver: Driver, blobs: Iterable[KeptBlob]) -> None:
    """Rows of the blob table; the file of a large one has been written and synced before this transaction began."""
    new = {bytes.fromhex(one.sha256): one for one in blobs}
    for address, ingested in driver.among("SELECT sha256, ingested FROM blob WHERE sha256 IN (@)", new):
        del new[address]
        if not ingested:
            driver.run("UPDATE blob SET ingested = 1 WHERE sha256 = ?", (address,))
    driver.insert(
        blob,
        [
            (driver.number("blob"), address, one.size, None if one.large else one.content, 1)
            for address, one in new.items()
        ],
    )


def _row(n: int, message: KeptMessage, kept: KeptObject, eid: str, status: str) -> tuple[object, ...]:
    of = (eid, message.patient, message.facility, message.key, source_name(message.version))
    return object_row(n, kept, status, of)


def object_row(n: int, kept: KeptObject, status: str, of: tuple[str, str, str, str, str]) -> tuple[object, ...]:
    """In column order of the table. `of`: eid, patient, facility, key, source."""
    return (n, *kept[1:6], status, kept.availability, *of, kept.kind, *kept[7:-2], kept.xml)


def _link(driver: Driver, source: int, target: int, type_: str, id_: str, label: str = "") -> tuple[object, ...]:
    """An association of two documents, or of a set and a document, in column order of the table."""
    return (driver.number("association"), id_, "", 1, type_, APPROVED, source, target, None, label, None)
