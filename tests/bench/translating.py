"""Bytes to FHIR JSON: whole storages in files a second, and one large laboratory message against its floors."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hl7apy.consts import VALIDATION_LEVEL  # type: ignore[import-untyped]
from hl7apy.parser import parse_message  # type: ignore[import-untyped]

from gateway.codec.fhir import render
from gateway.translate.context import Facilities
from gateway.translate.sources import read_file
from tests.bench import material
from tests.bench.measure import Figure, best_of, side_by_side

FILES_A_SECOND = 2_000
"""Budget of one core, file to JSON."""


def convert(data: bytes, path: str, facilities: Facilities) -> list[bytes]:
    return [render(one.to_bundle("transaction")) for one in read_file(data, path, facilities)]


def convert_files(paths: list[str], facilities: Facilities) -> None:
    for path in paths:
        with open(path, "rb") as file:
            convert(file.read(), path, facilities)


def split(data: bytes) -> list[list[list[str]]]:
    """The floor: decode, then segments, fields and components with nothing but str.split."""
    lines = data.decode("iso2022_jp", "replace").split("\r")
    return [[field.split("^") for field in line.split("|")] for line in lines]


def split_files(paths: list[str]) -> None:
    for path in paths:
        with open(path, "rb") as file:
            split(file.read())


def translate(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Files a second of one core (CPU time), and how many times the floor of reading and splitting that takes."""
    roots = {"generated": material.storage(folder / "generated", size.files)}
    if (sample := material.sample_storage(folder / "sample")) is not None:
        roots["sample"] = sample
    known = material.facilities()
    for name, root in roots.items():
        paths = material.paths_of(root)
        convert_files(paths, known)
        material.settle()
        ours, floor = side_by_side(
            partial(convert_files, paths, known), partial(split_files, paths), size.runs, loops=1
        )
        note = f"{len(paths)} files; wall {len(paths) / ours.wall:,.0f} files/s, {ours.cpu / len(paths) * 1e6:.0f} µs a file"
        yield Figure(f"translate {name}", len(paths) / ours.cpu, "files/s", FILES_A_SECOND, at_least=True, note=note)
        note = f"floor: read and split into components, {floor.cpu / len(paths) * 1e6:.0f} µs a file"
        yield Figure(f"translate {name}, to floor", ours.cpu / floor.cpu, "x", note=note)


def split_ratio(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Messages with 30 results: split, translate and render against splitting alone, and against hl7apy's parser."""
    known = material.facilities()
    numbers = range(1, size.messages + 1)
    messages = [(material.laboratory_message(n), material.laboratory_path(n)) for n in numbers]

    def ours() -> None:
        for data, path in messages:
            convert(data, path, known)

    def floor() -> None:
        for data, _ in messages:
            split(data)

    ours()
    material.settle()
    spent, least = side_by_side(ours, floor, size.runs, 2)
    each, floor_each = spent.cpu / len(messages) * 1e6, least.cpu / len(messages) * 1e6
    note = f"{each:.0f} µs against {floor_each:.0f} µs to decode and split {len(messages[0][0])} bytes"
    yield Figure("split-ratio", each / floor_each, "x", 5, note=note)
    text = messages[0][0].decode("iso2022_jp")
    theirs = best_of(
        lambda: parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT), runs=min(size.runs, 3)
    ).cpu
    note = f"hl7apy parses one in {theirs * 1e3:.0f} ms (tolerant), without translating it"
    yield Figure("split-ratio, hl7apy", theirs * 1e6 / each, "x", 100, at_least=True, note=note)
