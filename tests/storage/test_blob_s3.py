"""What is the object store's own: parts, broken connections, refusals, unfinished uploads. The contract: test_blobs.py."""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigurationError, DamagedContent, Unavailable
from gateway.storage import blob_s3
from gateway.storage.blob_s3 import PART, S3Objects, S3Place
from gateway.storage.blobs import BlobStore
from tests.s3 import Server
from tests.storage.making import storage

NOW = datetime.now(UTC)


@pytest.fixture
def bucket(s3_server: Server) -> str:
    return s3_server.bucket()


@pytest.fixture
def objects(s3_server: Server, bucket: str) -> S3Objects:
    return s3_server.objects(bucket)


def address(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pieces(content: bytes, size: int = 1_000_003) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 5])
def test_a_document_of_several_parts(objects: S3Objects, size: int) -> None:
    content = os.urandom(1000) * (size // 1000) + b"x" * (size % 1000)
    objects.put(address(content), pieces(content), size)
    assert objects.open(address(content)).read() == content


def test_where_the_bytes_are(objects: S3Objects, s3_server: Server, bucket: str) -> None:
    objects.put("abcd" + "0" * 60, [b"x"], 1)
    (one,) = s3_server.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert one["Key"] == "documents/of the node/ab/cd/abcd" + "0" * 60


def test_an_upload_that_breaks_off_leaves_nothing(objects: S3Objects, s3_server: Server, bucket: str) -> None:
    def broken() -> Iterator[bytes]:
        yield os.urandom(2 * PART + 1)
        raise KeyError("the sender is gone")

    with pytest.raises(KeyError):
        objects.put("0" * 64, broken(), 3 * PART)
    assert list(objects) == []


def test_the_sweep_aborts_uploads_that_came_to_no_end(
    tmp_path: Path, objects: S3Objects, s3_server: Server, bucket: str
) -> None:
    if s3_server.name == "moto":
        pytest.skip("moto's uploads all began in 2010")
    key = f"documents/of the node/00/00/{'0' * 64}"
    s3_server.client().create_multipart_upload(Bucket=bucket, Key=key)
    with storage(tmp_path) as store:
        blobs = BlobStore(store.engine, objects)
        assert len(list(blobs.files())) == 1
        assert blobs.sweep(NOW) == 0
        assert blobs.sweep(NOW + timedelta(days=2)) == 1
        assert list(blobs.files()) == []


def test_what_is_there_is_not_sent_again_and_an_old_one_is_made_young(
    objects: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("sent again")
        yield b""

    content = b"a document" * 10
    objects.put(address(content), [content], len(content))
    objects.put(address(content), never(), len(content))
    (before,) = objects
    monkeypatch.setattr(blob_s3, "GRACE", timedelta(0))
    threading.Event().wait(1.1)  # the store's clock counts seconds
    objects.put(address(content), [content], len(content))
    (after,) = objects
    assert after.modified > before.modified
    assert not objects.remove(address(content), before=after.modified)
    assert objects.open(address(content)).read() == content
    assert objects.remove(address(content), before=after.modified + timedelta(seconds=1))
    with pytest.raises(FileNotFoundError):
        objects.open(address(content))


class Cut:
    """A body whose connection breaks after some bytes."""

    def __init__(self, body: Any, after: int) -> None:
        self._body, self._left = body, after

    def read(self, size: int | None = None) -> bytes:
        if self._left <= 0:
            raise OSError("connection reset")
        data: bytes = self._body.read(min(size or self._left, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._body.close()


def cutting(objects: S3Objects, monkeypatch: pytest.MonkeyPatch, *after: int) -> None:
    """The next downloads break after so many bytes each."""
    real, cuts = objects._client.get_object, list(after)

    def get(**where: Any) -> Any:
        answer = real(**where)
        return {**answer, "Body": Cut(answer["Body"], cuts.pop(0))} if cuts else answer

    monkeypatch.setattr(objects._client, "get_object", get)


def test_a_download_that_breaks_off_goes_on_where_it_was(objects: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(300_000)
    objects.put(address(content), [content], len(content))
    cutting(objects, monkeypatch, 100_000, 0, 50_000)
    stream, out = objects.open(address(content)), io.BytesIO()
    while piece := stream.read(64 * 1024):
        out.write(piece)
    assert out.getvalue() == content


def test_a_download_that_always_breaks_off_is_unavailable(objects: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(1000)
    objects.put(address(content), [content], len(content))
    cutting(objects, monkeypatch, *[10] * 50)
    stream = objects.open(address(content))
    with pytest.raises(Unavailable, match="again and again"):
        while stream.read(100):
            pass


def test_a_document_that_changed_between_two_pieces_is_damaged(
    objects: S3Objects, s3_server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(1000)
    objects.put(address(content), [content], len(content))
    cutting(objects, monkeypatch, 100)
    stream = objects.open(address(content))
    assert len(stream.read(100)) == 100
    name = address(content)
    key = f"documents/of the node/{name[:2]}/{name[2:4]}/{name}"
    s3_server.client().put_object(Bucket=bucket, Key=key, Body=b"another")
    with pytest.raises(DamagedContent):
        stream.read(100)


def test_refusals_are_told_in_the_stores_word_and_without_secrets(s3_server: Server, bucket: str) -> None:
    good = s3_server.place(bucket)
    S3Objects(good).check()
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        S3Objects(good._replace(url="s3://no-such-bucket-here")).check()
    if s3_server.name != "moto":  # which asks nobody who he is
        with pytest.raises(Unavailable, match="Signature|Access") as caught:  # noqa: RUF043
            S3Objects(good._replace(secret_key="another-secret")).check()
        assert "secret" not in str(caught.value)


def test_a_store_that_is_not_there_is_unavailable() -> None:
    pytest.importorskip("boto3")
    gone = S3Objects(S3Place("s3://bucket", "http://127.0.0.1:1", "us-east-1", "a", "b"))
    for ask in (gone.check, lambda: gone.open("0" * 64), lambda: gone.put("0" * 64, [b"x"], 1), lambda: list(gone)):
        with pytest.raises(Unavailable, match="does not answer"):
            ask()


@pytest.mark.parametrize("url", ["s3://", "s3:bucket", "s3://B", "s3://bucket?x=1", "http://bucket"])
def test_an_address_that_is_none(url: str) -> None:
    pytest.importorskip("boto3")
    with pytest.raises(ConfigurationError):
        S3Objects(S3Place(url))
