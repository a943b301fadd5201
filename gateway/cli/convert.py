"""`musubi convert`: messages in, FHIR Bundles out; nothing is stored."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gateway.cli._frame import DONE, FINDINGS, ConfigOption, JsonOption, app, need, settings_of


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
    from gateway.translate.sources import read_file

    if bundle not in ("transaction", "collection"):
        raise typer.BadParameter("transaction or collection", param_hint="--bundle")
    if source != "ss-mix2":
        raise typer.BadParameter("this version reads ss-mix2", param_hint="--source")
    need(files)
    settings = settings_of(config)
    facilities = parts.facilities(settings)
    kind: Literal["transaction", "collection"] = "collection" if bundle == "collection" else "transaction"
    worst = DONE
    for file in _inputs(files):
        data = _read(file, settings.ingest.max_file_bytes)
        for one in read_file(data, str(file.absolute()), facilities, facility=facility, explain=explain):
            document = one.to_bundle(kind)
            if explain:
                document = _explained(one, document, file)
            else:
                _show_issues(file, one, as_json)
            sys.stdout.buffer.write(render_pretty(document) if pretty else render(document) + b"\n")
            if _is_bad(one):
                worst = FINDINGS
    sys.stdout.flush()
    return worst


def _inputs(files: list[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            yield from sorted(path for path in file.rglob("*") if path.is_file())
        else:
            yield file


def _read(file: Path, limit: int) -> bytes:
    """The bytes of one input, cut one byte over the limit so that the reader refuses it by its size."""
    with file.open("rb") as stream:
        return stream.read(limit + 1)


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
            "file": str(file),
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
    import json

    for issue in _issues(one):
        if as_json:
            line = json.dumps({"file": str(file), **issue}, ensure_ascii=False)
        else:
            line = f"{file}: {issue['severity']} {issue['code']} at {issue['where']}: {issue['text']}"
        typer.echo(line, err=True)
    if one.translated.residue:
        residue = {"severity": "information", "code": "residue", "where": "", "text": ""}
        residue["text"] = f"{len(one.translated.residue)} valued fields were not mapped (--explain lists them)"
        typer.echo(
            json.dumps({"file": str(file), **residue}) if as_json else f"{file}: information residue: {residue['text']}",
            err=True,
        )
