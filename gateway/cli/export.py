"""`musubi export`: the current view, in canonical order."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli._frame import DONE, ConfigOption, JsonOption, app, settings_of, shown
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.model.identity import PatientId
    from gateway.ports import Identities, Resources
    from gateway.settings import Settings

FORMATS = ("ndjson", "exchange-spec", "jahistc")
_DIALECTS = "ndjson: URIs of 1.2.0, 1.1.2 or clins, else [mapping] dialect; exchange-spec: names of items, seed or h28."


@app.command()
def export(
    format_: Annotated[str, typer.Option("--format", help=" or ".join(FORMATS) + ".")] = "ndjson",
    dialect: Annotated[str, typer.Option(help=_DIALECTS)] = "",
    output: Annotated[Path | None, typer.Option(help="Folder for the files; else stdout.")] = None,
    patient: Annotated[str, typer.Option(help="jahistc: ID^^^&OID&ISO of the person.")] = "",
    max_bytes: Annotated[int, typer.Option(help="jahistc: split files of more bytes into parts.", min=0)] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write every current FHIR resource, one a line, ordered by type and id; the exchange files of all
    consortia; or the medication notebooks (お薬手帳) of one person."""
    from gateway import app as parts
    from gateway.model.audit import AuditRecord

    if format_ not in FORMATS:
        raise typer.BadParameter(f"one of {', '.join(FORMATS)}", param_hint="--format")
    if dialect and dialect not in (known := _dialects(format_)):
        raise typer.BadParameter(f"one of {', '.join(known)}", param_hint="--dialect")
    if output is not None and format_ == "ndjson":
        raise typer.BadParameter("ndjson goes to stdout", param_hint="--output")
    owner = _patient(patient, format_)
    settings = settings_of(config)
    if settings.database_file and not settings.database_file.is_file():
        raise ConfigurationError(f"{shown(settings.database_file)}: no database yet; musubi ingest makes it")
    with parts.storage(settings) as store:
        store.audit.record(AuditRecord("110106", "export", "R", 0, "musubi export", detail=format_))
        if format_ == "ndjson":
            said = _ndjson(store.resources, dialect or settings.mapping.dialect)
        elif owner is not None:
            said = _notebooks(store.resources, store.identities, owner, output, max_bytes)
        else:
            said = _exchange(store.resources, settings, dialect or "seed", output)
    sys.stdout.flush()
    _say(said, as_json)
    return DONE


def _say(said: dict[str, Any], as_json: bool) -> None:
    """The summary, on stderr: stdout is the export."""
    if as_json:
        typer.echo(json.dumps(said, ensure_ascii=False), err=True)
        return
    for where in said.get("replacedCharacters", ()):
        typer.echo(f"{where}: a character that JIS X 0208 does not have is written as ■", err=True)
    counts = [f"{said[key]:,} {key}" for key in ("resources", "records", "files") if key in said]
    typer.echo(" in ".join(counts), err=True)
    for reason, count in said.get("notExported", {}).items():
        typer.echo(f"not exported, {reason}: {count:,}", err=True)


def _patient(cx: str, format_: str) -> "PatientId | None":
    from gateway.model.identity import PatientId

    if (format_ == "jahistc") != bool(cx):
        text = "--patient is for --format jahistc" if cx else "--format jahistc needs --patient"
        raise typer.BadParameter(text, param_hint="--patient")
    try:
        return PatientId.parse(cx) if cx else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--patient") from None


def _dialects(format_: str) -> tuple[str, ...]:
    from gateway.translate.dialect import DIALECTS
    from gateway.translate.exchange_spec import returning

    return tuple(DIALECTS) if format_ == "ndjson" else returning.DIALECTS


def _ndjson(resources: "Resources", written: str) -> dict[str, Any]:
    from gateway.codec.fhir import parse, render
    from gateway.model.caller import UNRESTRICTED
    from gateway.translate.dialect import NOW, rewritten

    count = 0
    for resource in resources.export(UNRESTRICTED):
        # The store holds the form of 1.2.0: its bytes are the answer as they are.
        body = resource.body if written == NOW else render(rewritten(parse(resource.body), written))
        sys.stdout.buffer.write(body + b"\n")
        count += 1
    return {"resources": count}


def _notebooks(
    resources: "Resources", identities: "Identities", owner: "PatientId", output: Path | None, max_bytes: int
) -> dict[str, Any]:
    """One file a notebook, or part of one; without a folder there may be only one."""
    from gateway.errors import UnknownPatient
    from gateway.model.caller import UNRESTRICTED
    from gateway.services.notebooks import export as notebooks

    person = identities.enterprise_id(owner, UNRESTRICTED)
    if person is None:
        raise UnknownPatient("the patient is not known here")
    files = notebooks(resources, identities.patients(person, UNRESTRICTED), UNRESTRICTED, max_bytes)
    if output is not None:
        written = [(f"notebook-{number:03}.csv", file.content) for number, file in enumerate(files, start=1)]
        _write(output, written)
    elif len(files) > 1:
        raise ConfigurationError(f"{len(files)} notebooks: name a folder with --output")
    else:
        for file in files:
            sys.stdout.buffer.write(file.content)
    lost = list(dict.fromkeys(where for file in files for where in file.lost))
    return {"files": len(files), "replacedCharacters": lost}


def _write(folder: Path, files: list[tuple[str, bytes]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{shown(folder)}: {error.strerror}") from None


def _exchange(resources: "Resources", settings: "Settings", names: str, output: Path | None) -> dict[str, Any]:
    """One JSON document a consortium, one a line; in a folder one file each, under the name of the convention's writers."""
    from gateway import app as parts
    from gateway.model.caller import UNRESTRICTED
    from gateway.services.exchange import export as exchange_files

    made = exchange_files(resources, UNRESTRICTED, parts.registers(settings), names)
    if output is not None:
        _write(output, [(file.name, file.content) for file in made.files])
    else:
        for file in made.files:
            sys.stdout.buffer.write(file.content + b"\n")
    return {"records": made.records, "files": len(made.files), "notExported": dict(made.skipped)}
