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
    files: Annotated[list[Path], typer.Argument(help="Files of any source, or folders of them.", metavar="FILE...")],
    explain: Annotated[bool, typer.Option("--explain", help="Add lineage, residue and issues.")] = False,
    bundle: Annotated[str, typer.Option(help="transaction or collection.")] = "transaction",
    facility: Annotated[str, typer.Option(help="OID of the facility; wins over MSH-4 and folder.")] = "",
    source: Annotated[str, typer.Option(help="Kind of input; found out unless given.")] = "",
    format_: Annotated[str, typer.Option("--format", help="json, or table: what became of each field.")] = "json",
    join: Annotated[bool, typer.Option("--join", help="FILEs are pieces of one input, in this order (QR).")] = False,
    dialect: Annotated[str, typer.Option(help="URIs of 1.2.0, 1.1.2 or clins; else [mapping] dialect.")] = "",
    pretty: Annotated[bool, typer.Option("--pretty", help="Indented JSON, one input only.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Convert messages, records and documents to JP Core FHIR Bundles on stdout.

    One JSON document a message, one a line when there are several. Findings go to stderr.
    """
    from gateway import app as parts
    from gateway.codec.fhir import render, render_pretty
    from gateway.translate.dialect import DIALECTS, rewritten
    from gateway.translate.sources import known as known_sources

    if bundle not in ("transaction", "collection"):
        raise typer.BadParameter("transaction or collection", param_hint="--bundle")
    if source and source not in known_sources():
        raise typer.BadParameter(f"one of {', '.join(known_sources())}", param_hint="--source")
    if format_ not in ("json", "table"):
        raise typer.BadParameter("json or table", param_hint="--format")
    if dialect and dialect not in DIALECTS:
        raise typer.BadParameter(f"one of {', '.join(DIALECTS)}", param_hint="--dialect")
    need_oid(facility, "--facility")
    need(files)
    settings = settings_of(config)
    known = parts.facilities(settings)
    written = dialect or settings.mapping.dialect
    table = _Table() if format_ == "table" else None
    kind: Literal["transaction", "collection"] = "collection" if bundle == "collection" else "transaction"
    worst, count = DONE, 0
    reading = _Reading(settings.ingest.max_file_bytes, known, facility, explain or bool(table), source)
    for paths in [files] if join else reading.grouped(_inputs(files)):
        file = paths[0]
        for one in reading.joined(paths) if join else reading.parts(paths) if len(paths) > 1 else reading.one(file):
            count += 1
            if _is_bad(one):
                worst = FINDINGS
            document = rewritten(one.to_bundle(kind), written)
            if not one.sha256:
                _take_back_hash(document)
            if table is not None:
                table.show(file, one, document)
                continue
            if explain:
                document = _explained(one, document, file)
            else:
                _show_issues(file, one, as_json)
            sys.stdout.buffer.write(render_pretty(document) if pretty else render(document) + b"\n")
    sys.stdout.flush()
    if not count:
        typer.echo("musubi: no files to convert", err=True)
    return worst


class _Table:
    """Loads what draws tables only when one is asked for."""

    def __init__(self) -> None:
        from gateway.cli import _explained

        self._draw = _explained
        self._console = _explained.console()

    def show(self, file: Path, one: "Converted", document: dict[str, Any]) -> None:
        self._draw.show(self._console, file, one, document, _issues(one))


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


class _Reading:
    """Inputs to what they became. What cannot be read is one Converted with the reason, so that it has its document."""

    def __init__(self, limit: int, known: "Facilities", facility: str, explain: bool, source: str) -> None:
        self._limit, self._known, self._facility, self._explain, self._source = limit, known, facility, explain, source

    def one(self, file: Path) -> "list[Converted]":
        from gateway.translate.sources import read_documents

        data = self._data(file)
        return read_documents(data, _text(file), **self._told()) if isinstance(data, bytes) else [data]

    def joined(self, files: list[Path]) -> "list[Converted]":
        """The bytes of all files, one behind the other, as one input with the name of the first."""
        from gateway.translate.sources import read_documents

        pieces: list[bytes] = []
        for file in files:
            data = self._data(file)
            if not isinstance(data, bytes):
                return [data]
            pieces.append(data)
        return read_documents(b"".join(pieces), _text(files[0]), **self._told())

    def parts(self, files: list[Path]) -> "list[Converted]":
        """The small files one medication notebook was split into (record 911)."""
        from gateway.translate.jahistc.source import read_parts

        pieces = [data for file in files if isinstance(data := self._data(file), bytes)]
        return [read_parts(pieces, _text(files[0]), self._known, self._facility, self._explain)]

    def grouped(self, files: "Iterator[Path]") -> "Iterator[list[Path]]":
        """Files one by one; parts of one notebook together, where the first of them stands."""
        from gateway.codec.ssmix2 import looks_like_storage_file
        from gateway.services.ingest.notebook_parts import notebook_bytes
        from gateway.translate.jahistc.source import part_of

        everything = list(files)
        groups: dict[tuple[str, ...], list[Path]] = {}
        member: dict[Path, tuple[str, ...]] = {}
        for file in everything if len(everything) > 1 else ():
            if not looks_like_storage_file(file.name) and (group := part_of(notebook_bytes(file, self._limit))):
                groups.setdefault(group, []).append(file)
                member[file] = group
        for file in everything:
            if file not in member:
                yield [file]
            elif paths := groups.pop(member[file], None):
                yield paths

    def _told(self) -> dict[str, Any]:
        return {
            "facilities": self._known,
            "facility": self._facility,
            "explain": self._explain,
            "source": self._source,
        }

    def _data(self, file: Path) -> "bytes | Converted":
        from gateway.model.outcome import Issue
        from gateway.translate.converted import Converted

        name = _text(file).rsplit("/", 1)[-1]
        try:
            with file.open("rb") as stream:
                data = stream.read(self._limit + 1)
                if len(data) <= self._limit:
                    return data
                text = f"more than {self._limit} bytes ([ingest] max_file_bytes)"
                issue = Issue("fatal", "too-large", f"byte {self._limit}", text)
                return Converted(self._source or "ss-mix2", name, 0, _digest(data, stream), error=issue)
        except OSError as error:
            issue = Issue("fatal", "unreadable", "byte 0", error.strerror or type(error).__name__)
            return Converted(self._source or "ss-mix2", name, 0, "", error=issue)


def _text(file: Path) -> str:
    """Bytes that are no UTF-8 have no place in FHIR; the marks for them are not part of any SS-MIX2 name."""
    return os.fsencode(file.absolute()).decode("utf-8", "replace")


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
    return [issue._asdict() for issue in one.issues]


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
        "lineage": [_traced(row) for row in translated.lineage],
        "residue": [row._asdict() for row in translated.residue],
        "unmapped": [row._asdict() for row in translated.unmapped],
    }


def _traced(row: Any) -> dict[str, Any]:
    return {**row._asdict(), "codes": [code._asdict() for code in row.codes]}


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
