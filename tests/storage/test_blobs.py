import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.codec.packing import SMALL, pack
from gateway.errors import DamagedContent, LimitExceeded, SourceChanged, Unavailable, UnknownDocument
from gateway.model.ingest import KeptBlob, KeptMessage
from gateway.storage.blob_files import FileObjects
from gateway.storage.keep_documents import keep_blobs
from gateway.storage.opening import Storage
from tests.storage.making import message, outcome, record, storage

LARGE = os.urandom(1) * (SMALL + 1)


def with_blob(content: bytes) -> tuple[KeptMessage, str]:
    one = message("a", 0, "x")
    address = hashlib.sha256(content).hexdigest()
    return KeptMessage(
        one.key, one.version, one.facility, one.patient, one.person, blobs=(pack(address, content),)
    ), address


def keep(store: Storage, content: bytes) -> str:
    one, address = with_blob(content)
    store.keeping.keep([outcome(one)], record)
    return address


@pytest.mark.parametrize("content", [b"", b"small", b"x" * SMALL, LARGE])
def test_what_goes_in_comes_out(tmp_path: Path, content: bytes) -> None:
    with storage(tmp_path) as store:
        address = keep(store, content)
        with store.blobs.open(address) as stream:
            assert stream.read() == content
        assert list(store.blobs.files()) == ([address] if len(content) > SMALL else [])


def test_an_unknown_address_is_said_to_be_unknown(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        for address in ("00" * 32, "no hex", ""):
            with pytest.raises(UnknownDocument):
                store.blobs.open(address)


def test_a_damaged_row_is_never_handed_out(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        address = keep(store, b"original")
        for damage in (b"no zlib", pack("", b"another!").content, pack("", b"too long for it").content):
            store.writer.run(lambda driver, damage=damage: driver.run("UPDATE blob SET content = ?", (damage,)))
            with pytest.raises(DamagedContent):
                store.blobs.open(address)


@pytest.mark.parametrize(
    "damage", [LARGE[:-1] + b"!" if LARGE[-1:] != b"!" else LARGE[:-1] + b"?", LARGE[:-1], LARGE + b"x"]
)
def test_a_damaged_file_is_refused_before_its_last_byte_is_out(tmp_path: Path, damage: bytes) -> None:
    with storage(tmp_path) as store:
        address = keep(store, LARGE)
        (tmp_path / "blobs" / address[:2] / address[2:4] / address).write_bytes(damage)
        out = b""
        with pytest.raises(DamagedContent), store.blobs.open(address) as stream:
            while piece := stream.read(1000):
                out += piece
        assert len(out) < len(LARGE)


def test_a_lost_file_is_damage(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        address = keep(store, LARGE)
        (tmp_path / "blobs" / address[:2] / address[2:4] / address).unlink()
        with pytest.raises(DamagedContent):
            store.blobs.open(address)


def test_what_a_killed_process_left_is_swept_and_adopted(tmp_path: Path) -> None:
    address = hashlib.sha256(LARGE).hexdigest()
    folder = tmp_path / "blobs" / "incoming"
    folder.mkdir(parents=True)
    (folder / f"{socket.gethostname().replace('.', '-')}.999999999.0.part").write_bytes(b"half")
    with storage(tmp_path) as store:
        keep(store, LARGE)
        assert list(store.blobs.files()) == [address]


def test_a_blob_directory_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """It must not look like a fault of the file that is being stored."""
    (tmp_path / "blobs").write_bytes(b"a file where the folder should be")
    with storage(tmp_path) as store, pytest.raises(Unavailable):
        store.blobs.put_large([KeptBlob("ab" * 32, 3, b"xyz", large=True)])


def copied(path: Path, content: bytes) -> KeptBlob:
    return KeptBlob(hashlib.sha256(content).hexdigest(), len(content), b"", large=True, file=os.fsencode(path))


def test_a_document_is_copied_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(LARGE * 9)
    blob = copied(path, LARGE * 9)
    with storage(tmp_path) as store:
        one, _ = with_blob(b"")
        store.keeping.keep([outcome(replace(one, blobs=(blob,)))], record)
        path.unlink()
        with store.blobs.open(blob.sha256) as stream:
            assert stream.read() == LARGE * 9


@pytest.mark.parametrize("now", [b"another content", None])
def test_a_file_that_is_no_longer_what_was_read_is_refused(tmp_path: Path, now: bytes | None) -> None:
    path = tmp_path / "scan.pdf"
    if now is not None:
        path.write_bytes(now)
    with storage(tmp_path) as store:
        with pytest.raises(SourceChanged):
            store.blobs.put_large([copied(path, LARGE)])
        assert list(store.blobs.files()) == []


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("content", [b"", b"small", b"x" * SMALL, LARGE, LARGE * 3])
def test_a_stream_is_kept_under_its_hash(tmp_path: Path, content: bytes) -> None:
    with storage(tmp_path) as store:
        got = store.blobs.receive(pieces(content), max_bytes=len(content))
        assert got.sha1 == hashlib.sha1(content).hexdigest()
        assert (got.blob.sha256, got.size) == (hashlib.sha256(content).hexdigest(), len(content))
        store.writer.run(lambda driver: keep_blobs(driver, [got.blob]))
        with store.blobs.open(got.blob.sha256) as stream:
            assert stream.read() == content


def test_a_stream_that_is_too_long_or_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield LARGE
        raise KeyError("the sender is gone")

    with storage(tmp_path) as store:
        with pytest.raises(LimitExceeded):
            store.blobs.receive(pieces(LARGE), max_bytes=SMALL)
        with pytest.raises(KeyError):
            store.blobs.receive(broken(), max_bytes=10 * SMALL)
        assert list(store.blobs.files()) == []


def test_a_blob_that_goes_through_a_batch_after_it_was_received_is_not_written_again(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        got = store.blobs.receive(pieces(LARGE), max_bytes=len(LARGE))
        one, _ = with_blob(b"")
        store.keeping.keep([outcome(replace(one, blobs=(got.blob,)))], record)
        with store.blobs.open(got.blob.sha256) as stream:
            assert stream.read() == LARGE


def test_the_sweep_takes_what_no_row_names_once_it_is_old(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with storage(tmp_path) as store:
        kept = keep(store, LARGE)
        orphan = store.blobs.receive(pieces(LARGE + b"!"), max_bytes=2 * SMALL).blob.sha256
        half = tmp_path / "blobs" / "incoming" / "another-host.1.0.part"
        half.write_bytes(b"half")
        assert store.blobs.sweep(now) == 0
        assert set(store.blobs.files()) == {kept, orphan, half.name}
        assert store.blobs.sweep(now + timedelta(days=2)) == 2
        assert list(store.blobs.files()) == [kept]


def test_an_orphan_that_is_stored_again_is_young_again(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        address = store.blobs.receive(pieces(LARGE), max_bytes=2 * SMALL).blob.sha256
        file = tmp_path / "blobs" / address[:2] / address[2:4] / address
        long_ago = time.time() - 7 * 86400
        os.utime(file, (long_ago, long_ago))
        store.blobs.put_large([KeptBlob(address, len(LARGE), LARGE, large=True)])
        assert store.blobs.sweep(datetime.now(UTC)) == 0


def test_an_object_adopted_while_it_is_swept_stays(tmp_path: Path) -> None:
    """The row is looked for first; a writer that comes after that has made the file young."""
    objects = FileObjects(tmp_path)
    address = hashlib.sha256(LARGE).hexdigest()
    objects.put(address, [LARGE], len(LARGE))
    (seen,) = objects
    assert not objects.remove(address, before=seen.modified)
    assert objects.open(address).read() == LARGE
    assert objects.remove(address, before=seen.modified + timedelta(seconds=1))
    assert not objects.remove(address, before=seen.modified + timedelta(seconds=1))
