"""`musubi convert`: messages in, FHIR Bundles out; nothing is stored."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal
from uuid import NAMESPACE_URL, uuid5

import typer

from gateway.cli._frame import (
    DONE,
    FINDINGS,
    ConfigOption,
    JsonOption,
    app,
    name_of,
    need,
    need_oid,
    settings_of,
    shown,
)

if TYPE_CHECKING:
    from gateway.translate.context import Facilities
    from gateway.translate.converted import Converted


@app.command()
def convert(
    files: Annotated[list[Path], typer.Argument(help="HL7 v2 files, or folders of them.", metavar="FILE...")],
    explain: Annotated[bool, typer.Option("--explain", help="Add lineage, residue and issues.")] = False,
    bundle: Annotated[str, typer.Option(help="transaction or collection.")] = "transaction",
    facility: Annotated[str, typer.Option(help="OID of the facility; wins over MSH-4 and folder.")] = "",
    source: Annotated[str, typer.Option(help="Kind of input; this version reads ss-mix2.")] = "ss-mix2",
    pretty: Annotated[bool, typer.Option("--pretty", help="Indented JSON, one input only.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Convert HL7 v2 messages (SS-MIX2) to JP Core FHIR Bundles on stdout.

    One JSON document a message, one a line when there are several. Findings go to stderr.
    """
    from gateway import app as parts
    from gateway.codec.fhir import render, render_pretty

    if bundle not in ("transaction", "collection"):
        raise typer.BadParameter("transaction or collection", param_hint="--bundle")
    if source != "ss-mix2":
        raise typer.BadParameter("this version reads ss-mix2", param_hint="--source")
    need_oid(facility, "--facility")
    need(files)
    settings = settings_of(config)
    known = parts.facilities(settings)
    kind: Literal["transaction", "collection"] = "collection" if bundle == "collection" else "transaction"
    worst, count = DONE, 0
    for file in _inputs(files):
        for one in _converted(file, settings.ingest.max_file_bytes, known, facility, explain):
            count += 1
            document = one.to_bundle(kind)
            if not one.sha256:
                _take_back_hash(document)
            if explain:
                document = _explained(one, document, file)
            else:
                _show_issues(file, one, as_json)
            sys.stdout.buffer.write(render_pretty(document) if pretty else render(document) + b"\n")
            if _is_bad(one):
                worst = FINDINGS
    sys.stdout.flush()
    if not count:
        typer.echo("musubi: no files to convert", err=True)
    return worst


def _inputs(files: list[Path]) -> Iterator[Path]:
    """Files of folders in order of name, without what ingest passes over by its name; links are not followed."""
    from gateway.codec.ssmix2 import ignored
    from gateway.services.ingest.files import walk

    for file in files:
        if file.is_dir():
            root = os.path.abspath(file)
            for found in walk([root], lambda name: bool(ignored(name))):
                if found is not None:
                    yield file / os.path.relpath(os.fsdecode(found.path), root)
        else:
            yield file


def _converted(file: Path, limit: int, known: "Facilities", facility: str, explain: bool) -> "list[Converted]":
    """The messages of one input. What cannot be read is one Converted with the reason, so that it has its document."""
    from gateway.model.outcome import Issue
    from gateway.translate.converted import Converted
    from gateway.translate.sources import read_file

    # Bytes that are no UTF-8 have no place in FHIR; the marks for them are not part of any SS-MIX2 name.
    path = os.fsencode(file.absolute()).decode("utf-8", "replace")
    name = path.rsplit("/", 1)[-1]
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
            if len(data) > limit:
                text = f"more than {limit} bytes ([ingest] max_file_bytes)"
                return [
                    Converted(
                        "ss-mix2",
                        name,
                        0,
                        _digest(data, stream),
                        error=Issue("fatal", "too-large", f"byte {limit}", text),
                    )
                ]
    except OSError as error:
        issue = Issue("fatal", "unreadable", "byte 0", error.strerror or type(error).__name__)
        return [Converted("ss-mix2", name, 0, "", error=issue)]
    return read_file(data, path, known, facility=facility, explain=explain)


def _take_back_hash(document: dict[str, Any]) -> None:
    """Of a file that could not be opened nobody knows the SHA-256; its one entry is named after the file."""
    del document["identifier"]
    for entry in document["entry"]:
        entry["fullUrl"] = uuid5(NAMESPACE_URL, document["meta"]["source"]).urn


def _digest(head: bytes, rest: BinaryIO) -> str:
    """SHA-256 of the whole input, of which only the head is in memory."""
    digest = hashlib.sha256(head)
    while piece := rest.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _is_bad(one: Any) -> bool:
    return one.error is not None or any(i.severity in ("error", "fatal") for i in one.translated.issues)


def _issues(one: Any) -> list[dict[str, str]]:
    found = [*([one.error] if one.error else []), *one.translated.issues]
    return [issue._asdict() for issue in found]


def _explained(one: Any, document: dict[str, Any], file: Path) -> dict[str, Any]:
    """The shape that docs/commands.md promises."""
    translated = one.translated
    return {
        "input": {
            "file": name_of(file),
            "sha256": one.sha256,
            "source": one.source,
            "charset": one.charset,
            "lineEnds": one.line_ends,
        },
        "bundle": document,
        "issues": _issues(one),
        "lineage": [row._asdict() for row in translated.lineage],
        "residue": [row._asdict() for row in translated.residue],
        "unmapped": [row._asdict() for row in translated.unmapped],
    }


def _show_issues(file: Path, one: Any, as_json: bool) -> None:
    for issue in _issues(one):
        if as_json:
            line = json.dumps({"file": name_of(file), **issue}, ensure_ascii=False)
        else:
            line = f"{shown(file)}: {issue['severity']} {issue['code']} at {issue['where']}: {issue['text']}"
        typer.echo(line, err=True)
    if one.translated.residue:
        text = f"{len(one.translated.residue)} valued fields were not mapped (--explain lists them)"
        line = f"{shown(file)}: information residue: {text}"
        if as_json:
            residue = {"severity": "information", "code": "residue", "where": "", "text": text}
            line = json.dumps({"file": name_of(file), **residue}, ensure_ascii=False)
        typer.echo(line, err=True)
