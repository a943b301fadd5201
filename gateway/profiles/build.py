"""Makes the rule tables of `mappings/profiles` from FHIR packages, the same bytes for the same packages.

    python -m gateway.profiles.build --from <folder of FHIR packages> [--to <folder>]

The folder is laid out as `r4/` (base, extensions and profiles, terminology) and `jp-core/` (JP Core, terminology).
"""

import argparse
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway import mapping_files
from gateway.profiles import distil
from gateway.profiles.expansion import Terminology
from gateway.profiles.packages import conformance_resources
from gateway.profiles.tables import CodeSystem, Definition, Tables, ValueSet

Json = dict[str, Any]
Row = Definition | ValueSet | CodeSystem

R4 = {"package": "hl7.fhir.r4.core", "version": "4.0.1", "licence": "CC0-1.0"}
JP_CORE = {"package": "jpfhir.jp.core", "version": "1.2.0", "licence": "facts of the profiles; no text"}
FILES = ("r4-types.jsonl", "r4-profiles.jsonl", "r4-terminology.jsonl", "jp-core.jsonl", "jp-core-terminology.jsonl")
_NOT_R4 = frozenset({"SubscriptionStatus", "MetadataResource"})
"""SubscriptionStatus is of 4.3.0; MetadataResource is abstract and never written."""


def build(packages: Path) -> dict[str, bytes]:
    """The content of each table by file name."""
    types = [
        s for s in _structures(packages / "r4" / "r4-base-structuredefinitions.json.gz") if s["type"] not in _NOT_R4
    ]
    profiles = list(_structures(packages / "r4" / "r4-extensions-and-profiles.json.gz"))
    japanese = list(_structures(packages / "jp-core" / "jp-core-1.2.0.json.gz"))
    names = distil.core_names([*types, *profiles, *japanese])

    base = [distil.base_definition(s) for s in types if distil.is_base(s) and s["kind"] != "logical"]
    tables = Tables({}, {d.url: d for d in base}, {}, {})
    r4 = [distil.constraint_definition(s, tables, names) for s in profiles if "snapshot" in s]
    jp = [distil.constraint_definition(s, tables, names) for s in japanese]

    r4_terms = Terminology(conformance_resources(packages / "r4" / "r4-terminology.json.gz"))
    all_terms = Terminology(
        resource
        for name in ("jp-core/jp-core-1.2.0", "jp-core/jp-terminology-core", "r4/r4-terminology")
        for resource in conformance_resources(packages / f"{name}.json.gz")
    )
    r4_rows: list[Row] = [*distil.bound_value_sets([*base, *r4], r4_terms), *r4_terms.systems()]
    known = {row.url for row in r4_rows}
    jp_rows: list[Row] = [*distil.bound_value_sets(jp, all_terms), *all_terms.systems()]
    added = [row for row in jp_rows if row.url not in known]
    return dict(
        zip(
            FILES,
            (_table(R4, base), _table(R4, r4), _table(R4, r4_rows), _table(JP_CORE, jp), _table(JP_CORE, added)),
            strict=True,
        )
    )


def _structures(file: Path) -> Iterable[Json]:
    return (r for r in conformance_resources(file) if r["resourceType"] == "StructureDefinition")


def _table(header: dict[str, str], rows: Iterable[Row]) -> bytes:
    out = io.BytesIO()
    out.write(orjson.dumps(header) + b"\n")
    for row in sorted(rows, key=lambda r: r.url):
        out.write(orjson.dumps(row.row()) + b"\n")
    return out.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.profiles.build", description="Make the FHIR rule tables.")
    parser.add_argument("--from", dest="packages", type=Path, required=True, help="folder of FHIR packages")
    parser.add_argument("--to", type=Path, default=mapping_files.path("profiles"), help="folder of the tables")
    options = parser.parse_args(arguments)
    options.to.mkdir(parents=True, exist_ok=True)
    for name, content in build(options.packages).items():
        (options.to / name).write_bytes(content)
        print(f"{name}: {content.count(10) - 1} rows, {len(content)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
