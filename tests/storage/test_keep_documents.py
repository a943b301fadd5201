"""Status, associations and blobs of the two documents of a file."""

from pathlib import Path

from gateway.model.caller import UNRESTRICTED
from gateway.model.document import APPROVED, DEPRECATED, RPLC, XFRM
from gateway.model.ingest import KeptMessage
from gateway.storage.opening import Storage
from tests.storage.making import message, outcome, record, storage


def keep(store: Storage, *messages: KeptMessage) -> None:
    store.keeping.keep([outcome(one) for one in messages], record)


def uuids(one: KeptMessage) -> tuple[str, ...]:
    return tuple(document.entryUUID for document in one.documents)


def statuses(store: Storage, one: KeptMessage) -> list[str]:
    return [entry.availabilityStatus for entry in store.documents.by_entry_uuid(uuids(one), UNRESTRICTED)]


def links(store: Storage, one: KeptMessage, kind: str) -> list[tuple[str, str]]:
    found = store.documents.associations(uuids(one), UNRESTRICTED)
    return [(a.sourceObject, a.targetObject) for a in found if a.associationType == kind]


def test_a_file_is_two_approved_entries_joined_by_a_transform(tmp_path: Path) -> None:
    one = message("a", 0, "x")
    with storage(tmp_path) as store:
        keep(store, one)
        bundle, original = uuids(one)
        assert statuses(store, one) == [APPROVED, APPROVED]
        assert links(store, one, XFRM) == [(bundle, original)]
        found = store.documents.by_entry_uuid((bundle,), UNRESTRICTED)[0]
        assert store.blobs.open(found.blob).read() == b"bundle x 20260101000000000"


def test_a_newer_version_replaces_the_older_one(tmp_path: Path) -> None:
    old, new = message("a", 0, "x"), message("a", 1, "y")
    for folder, batches in (("once", [[new, old]]), ("late", [[new], [old]]), ("early", [[old], [new]])):
        (tmp_path / folder).mkdir()
        with storage(tmp_path / folder) as store:
            for batch in batches:
                keep(store, *batch)
            assert statuses(store, old) == [DEPRECATED, DEPRECATED]
            assert statuses(store, new) == [APPROVED, APPROVED]
            assert links(store, new, RPLC) == [(uuids(new)[0], uuids(old)[0])]


def test_a_version_in_between_takes_its_place_in_the_chain(tmp_path: Path) -> None:
    first, second, third = (message("a", time, "x") for time in range(3))
    with storage(tmp_path) as store:
        keep(store, first, third)
        assert links(store, third, RPLC) == [(uuids(third)[0], uuids(first)[0])]
        keep(store, second)
        assert links(store, third, RPLC) == [(uuids(third)[0], uuids(second)[0])]
        assert sorted(links(store, second, RPLC)) == sorted(
            [(uuids(third)[0], uuids(second)[0]), (uuids(second)[0], uuids(first)[0])]
        )


def test_a_superseded_file_is_deprecated_from_the_start(tmp_path: Path) -> None:
    one = message("a", 0, "x", 2)
    with storage(tmp_path) as store:
        keep(store, one)
        assert statuses(store, one) == [DEPRECATED, DEPRECATED]


def test_a_deletion_deprecates_and_ends_the_chain(tmp_path: Path) -> None:
    old, new = message("a", 0, "x"), message("a", 1, "y")
    with storage(tmp_path) as store:
        keep(store, old, new)
        keep(store, message("a", 1, "y", 0))
        assert statuses(store, new) == [DEPRECATED, DEPRECATED]
        assert links(store, new, RPLC) == []


def test_equal_bytes_are_stored_once(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, message("a", 0, "x"), message("b", 0, "x"))
        with store.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM blob").scalar_one() == 2
            assert connection.exec_driver_sql("SELECT count(*) FROM registry_object").scalar_one() == 6
