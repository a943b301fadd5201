"""Large blobs as objects `<prefix>/ab/cd/<sha256>` of an S3-compatible store, the same names as in a folder.

One piece of PART bytes stands in memory on the way in, one of what is read on the way out. Each request has a deadline
and is repeated by botocore; a download that breaks off goes on where it was. boto3 is an extra (`s3`), imported where
the first such store is opened.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, NamedTuple

from gateway.errors import ConfigurationError, DamagedContent, Unavailable
from gateway.storage.blobs import GRACE, PIECE, Object

PART: Final = 8 * 1024 * 1024
"""Bytes of one part of a multipart upload (S3: 5 MiB at least, 10,000 parts at most: 78 GiB)."""
CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 60
ATTEMPTS: Final = 4
"""Of one request; and so often a download that breaks off is taken up again."""
_UPLOAD: Final = "upload "
_URL: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?")


class S3Place(NamedTuple):
    """Where, and as whom. What is empty is taken as boto3 finds it (AWS_* in the environment, an instance's role)."""

    url: str
    """`s3://BUCKET` or `s3://BUCKET/PREFIX`"""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""


class S3Objects:
    """storage.blobs.Objects in a bucket."""

    def __init__(self, place: S3Place) -> None:
        """Asks nothing yet. Raises ConfigurationError."""
        found = _URL.fullmatch(place.url)
        if found is None:
            raise ConfigurationError("[blobs] url: s3://BUCKET or s3://BUCKET/PREFIX")
        self._bucket, prefix = found[1], (found[2] or "").strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = _client(place)

    def open(self, address: str) -> BinaryIO:
        with _told():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(address))
            except self._client.exceptions.NoSuchKey:
                raise FileNotFoundError(address) from None
        return _Download(self._client, self._bucket, self._key(address), answer)  # type: ignore[return-value]

    def put(self, address: str, pieces: Iterable[bytes], size: int) -> None:
        if not self._is_there(address, size):
            self._upload(self._key(address), pieces)

    def incoming(self) -> "_Spooled":
        return _Spooled(self)

    def __iter__(self) -> Iterator[Object]:
        """Objects, and the uploads that came to no end."""
        where: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix}
        with _told():
            for page in self._client.get_paginator("list_objects_v2").paginate(**where):
                for one in page.get("Contents", ()):
                    yield Object(one["Key"].rpartition("/")[2], one["LastModified"])
            for page in self._client.get_paginator("list_multipart_uploads").paginate(**where):
                for one in page.get("Uploads") or ():
                    yield Object(f"{_UPLOAD}{one['Key']} {one['UploadId']}", one["Initiated"])

    def remove(self, name: str, before: datetime) -> bool:
        """It is looked at again right before: whoever stores the same bytes makes the object young first."""
        with _told():
            if name.startswith(_UPLOAD):
                key, _, upload = name.removeprefix(_UPLOAD).rpartition(" ")
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
                return True
            head = self._head(name)
            if head is None or head["LastModified"] >= before:
                return False
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))
        return True

    def check(self) -> None:
        """Whether the bucket is there and can be written. Raises Unavailable with the store's own word."""
        probe = f"{self._prefix}musubi-check"
        with _told():
            self._client.put_object(Bucket=self._bucket, Key=probe, Body=b"")
            self._client.delete_object(Bucket=self._bucket, Key=probe)

    def _key(self, address: str) -> str:
        return f"{self._prefix}{address[:2]}/{address[2:4]}/{address}"

    def _head(self, address: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._client.head_object(Bucket=self._bucket, Key=self._key(address))
        except self._client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return found

    def _is_there(self, address: str, size: int) -> bool:
        """Whole, and too young for the sweep of another process. An old one is sent again, which makes it young: a copy
        onto itself would do in Amazon's store, but not every other one changes the date."""
        with _told():
            head = self._head(address)
        young = datetime.now(UTC) - GRACE / 2
        return head is not None and head["ContentLength"] == size and head["LastModified"] > young

    def _upload(self, key: str, pieces: Iterable[bytes]) -> None:
        """The signature holds the hash of each body, so the store refuses what was damaged on the way."""
        parts = _parts(pieces)
        first, second = next(parts, b""), next(parts, None)
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        with _told():
            if second is None:
                self._client.put_object(**where, Body=first)
                return
            where["UploadId"] = self._client.create_multipart_upload(**where)["UploadId"]
            done: list[dict[str, Any]] = []
            try:
                for number, part in enumerate(chain((first, second), parts), start=1):
                    tag = self._client.upload_part(**where, PartNumber=number, Body=part)["ETag"]
                    done.append({"PartNumber": number, "ETag": tag})
                    first = second = b""
                self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": done})
            except BaseException:
                with suppress(Exception):  # the sweep aborts what stays
                    self._client.abort_multipart_upload(**where)
                raise


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts of PART, the last one shorter."""
    part = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        while view:
            taken = view[: PART - len(part)]
            part += taken
            view = view[len(taken) :]
            if len(part) == PART:
                yield bytes(part)
                part.clear()
    if part:
        yield bytes(part)


class _Spooled:
    """Bytes on their way in wait in a file without a name (TMPDIR says where) until their address is known."""

    def __init__(self, objects: S3Objects) -> None:
        self._objects = objects
        try:
            self._file = TemporaryFile()  # noqa: SIM115 - closed by keep or drop
        except OSError as error:
            raise Unavailable(f"[blobs] no room for a document on its way: {error.strerror}") from None

    def write(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise Unavailable(f"[blobs] no room for a document on its way: {error.strerror}") from None

    def keep(self, address: str, size: int) -> None:
        with self._file:
            self._file.seek(0)
            self._objects.put(address, iter(lambda: self._file.read(PIECE), b""), size)

    def drop(self) -> None:
        self._file.close()


class _Download:
    """The bytes of an object; where the connection breaks off, the rest is asked for, of the same version."""

    def __init__(self, client: Any, bucket: str, key: str, answer: Mapping[str, Any]) -> None:
        self._client, self._where = client, {"Bucket": bucket, "Key": key}
        self._body, self._tag = answer["Body"], answer["ETag"]
        self._at, self._size, self._again = 0, answer["ContentLength"], ATTEMPTS

    def read(self, size: int = -1) -> bytes:
        while True:
            try:
                with _told():
                    data: bytes = self._body.read(size if size >= 0 else None)
                    if not data and size and self._at < self._size:
                        raise Unavailable("[blobs] the object store ended a document early")
            except Unavailable:
                self._resume()
                continue
            self._at += len(data)
            return data

    def _resume(self) -> None:
        self._again -= 1
        if self._again < 0:
            raise Unavailable("[blobs] the object store breaks off again and again")
        self._body.close()
        with _told():
            try:
                answer = self._client.get_object(**self._where, Range=f"bytes={self._at}-", IfMatch=self._tag)
            except self._client.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 412):
                    raise DamagedContent("a stored document changed while it was read") from None
                raise
        self._body = answer["Body"]

    def close(self) -> None:
        self._body.close()


def _client(place: S3Place) -> Any:
    try:
        import boto3  # an extra
        from botocore.config import Config
    except ImportError:
        raise ConfigurationError("[blobs] url: S3 needs boto3: pip install musubi-gateway[s3]") from None
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=32,
        s3={"addressing_style": "path" if place.endpoint else "auto", "payload_signing_enabled": True},
        # Stores other than Amazon's know no checksum but that of the signature.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=place.endpoint or None,
            region_name=place.region or ("us-east-1" if place.endpoint else None),
            aws_access_key_id=place.access_key or None,
            aws_secret_access_key=place.secret_key or None,
            config=config,
        )
    except ValueError as error:
        raise ConfigurationError(f"[blobs] endpoint: {error}") from None


@contextmanager
def _told() -> Iterator[None]:
    """Failures of the store in our words: its error code, never a key or a document."""
    from botocore.exceptions import (  # an extra
        BotoCoreError,
        ClientError,
        HTTPClientError,
    )
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code") or error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise Unavailable(f"[blobs] the object store refuses: {code}") from None
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Unavailable(f"[blobs] the object store does not answer: {type(error).__name__}") from None
