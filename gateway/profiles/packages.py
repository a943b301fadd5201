"""Reads FHIR packages: a .tgz as registries publish them, an unpacked folder, or a Bundle in .json or .json.gz."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import orjson

from gateway.errors import BadInput, LimitExceeded

Json = dict[str, Any]

MAX_FILE = 64 * 1024 * 1024
"""Bytes of one file, uncompressed. The largest Bundle of R4 definitions has 30 MB."""
MAX_FILES = 50_000
"""Files in one package."""
_KINDS = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})


def conformance_resources(place: Path) -> Iterator[Json]:
    """StructureDefinitions, ValueSets and CodeSystems of a package file or a folder of packages, in path order.

    Raises BadInput when a file cannot be read as JSON, LimitExceeded beyond the limits above.
    """
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.is_file())
        if len(files) > MAX_FILES:
            raise LimitExceeded(f"more than {MAX_FILES} files in a package folder")
    else:
        files = [place]
    for file in files:
        if file.name.endswith((".tgz", ".tar.gz")):
            yield from _of_archive(file)
        elif file.name.endswith(".json.gz"):
            with gzip.open(file) as stream:
                yield from _of_bytes(_bounded(cast(IO[bytes], stream), file.name), file.name)
        elif file.suffix == ".json" and not file.name.startswith("."):
            with file.open("rb") as stream:
                yield from _of_bytes(_bounded(stream, file.name), file.name)


def _of_archive(file: Path) -> Iterator[Json]:
    try:
        with tarfile.open(file, "r:gz") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_FILES:
                    raise LimitExceeded(f"more than {MAX_FILES} files in {file.name}")
                parts = Path(member.name).parts
                if len(parts) == 2 and parts[1].endswith(".json") and not parts[1].startswith(".") and member.isfile():
                    stream = archive.extractfile(member)
                    if stream is not None:
                        yield from _of_bytes(_bounded(stream, member.name), member.name)
    except (tarfile.TarError, EOFError, OSError) as e:
        raise BadInput(f"{file.name} is not a FHIR package") from e


def _bounded(stream: IO[bytes], name: str) -> bytes:
    try:
        content = stream.read(MAX_FILE + 1)
    except (OSError, EOFError) as e:
        raise BadInput(f"{name} cannot be unpacked") from e
    if len(content) > MAX_FILE:
        raise LimitExceeded(f"{name} has more than {MAX_FILE} bytes")
    return content


def _of_bytes(content: bytes, name: str) -> Iterator[Json]:
    try:
        resource = orjson.loads(content)
    except orjson.JSONDecodeError as e:
        raise BadInput(f"{name} is not JSON") from e
    if not isinstance(resource, dict):
        return
    entries = resource.get("entry", []) if resource.get("resourceType") == "Bundle" else [{"resource": resource}]
    for entry in entries:
        found = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(found, dict) and found.get("resourceType") in _KINDS and isinstance(found.get("url"), str):
            yield found
