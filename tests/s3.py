"""An S3 server of a test run: Versity's gateway over a folder where its program is found, else moto's server.

The program: `go install github.com/versity/versitygw/cmd/versitygw@v1.8.0`, in PATH or named by MUSUBI_TEST_VERSITYGW.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from gateway.storage.blob_s3 import S3Objects, S3Place

_ACCESS, _SECRET = "musubi-test", "musubi-test-secret"
_numbers = count()


@dataclass
class Server:
    """A running S3 server."""

    name: str
    endpoint: str

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=_ACCESS,
            aws_secret_access_key=_SECRET,
        )  # fmt: skip

    def bucket(self) -> str:
        """The name of a new, empty one."""
        name = f"musubi-{next(_numbers)}"
        self.client().create_bucket(Bucket=name)
        return name

    def place(self, bucket: str, prefix: str = "documents/of the node") -> S3Place:
        return S3Place(f"s3://{bucket}/{prefix}", self.endpoint, "us-east-1", _ACCESS, _SECRET)

    def objects(self, bucket: str) -> S3Objects:
        return S3Objects(self.place(bucket))


def program() -> str | None:
    return os.environ.get("MUSUBI_TEST_VERSITYGW") or shutil.which("versitygw")


def reason_for_none() -> str:
    """Why no server can be started here; empty when one can."""
    try:
        import boto3  # noqa: F401 - an extra
    except ImportError:
        return "boto3 is not installed (pip install musubi-gateway[s3])"
    if program() is None:
        try:
            import moto.server  # noqa: F401 - only for tests
        except ImportError:
            return "neither versitygw nor moto[server] is installed (tests/s3.py)"
    return ""


@contextmanager
def server() -> Iterator[Server]:
    """Starts one; `reason_for_none` has to be empty."""
    found = program()
    if found is None:
        from moto.server import ThreadedMotoServer

        moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        moto.start()
        try:
            yield Server("moto", "http://{}:{}".format(*moto.get_host_and_port()))
        finally:
            moto.stop()
        return
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (Path(folder) / "data").mkdir()
        process = subprocess.Popen(
            [found, "--access", _ACCESS, "--secret", _SECRET, "--port", f"127.0.0.1:{port}", "--quiet", "posix",
             str(Path(folder) / "data")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _until_it_listens(port, process)
            yield Server("versitygw", f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(10)


def _until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 20
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None and time.monotonic() < end, "the S3 server does not start"
        time.sleep(0.02)
