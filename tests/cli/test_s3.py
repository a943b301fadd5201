"""The commands of a node whose documents are in an object store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.sandbox.ssmix2 import generate
from tests.s3 import Server


def test_a_node_keeps_its_documents_in_a_bucket(
    musubi: Any, node: Callable[..., Path], s3_server: Server, tmp_path: Path
) -> None:
    bucket = s3_server.bucket()
    place = s3_server.place(bucket, "tokyo")
    more = f"""[blobs]
url = "{place.url}"
endpoint = "{place.endpoint}"
access_key_file = "access"
secret_key_file = "secret"
"""
    config = node("n", more=more)
    (config.parent / "access").write_text(place.access_key + "\n")
    (config.parent / "secret").write_text(place.secret_key + "\n")
    assert musubi("doctor", "-c", config).code == 0
    generate(tmp_path / "tree", seed=1, patients=1, files=4)
    message = sorted(path for path in (tmp_path / "tree").rglob("*_1") if "_OML-" in path.name)[0]
    # A note of many lines makes the message larger than what the database holds itself.
    large = (
        message.read_bytes().rstrip(b"\r\n")
        + b"\r"
        + b"\r".join(b"NTE|%d||%s" % (n, b"x" * 900) for n in range(1, 100))
    )
    message.write_bytes(large + b"\r")
    assert musubi("ingest", tmp_path / "tree", "-c", config, "--workers", "1").code in (0, 1)
    keys = [one["Key"] for one in s3_server.client().list_objects_v2(Bucket=bucket).get("Contents", ())]
    assert keys and all(key.startswith("tokyo/") for key in keys)
    assert not (config.parent / "blobs").exists()
    assert musubi("report", "--node", "-c", config).code in (0, 1)
    (config.parent / "secret").unlink()
    result = musubi("export", "-c", config)
    assert result.code == 2 and "secret_key_file" in result.err
