"""`musubi export`: the current view, in canonical order."""

import sys
from typing import Annotated

import typer

from gateway.cli._frame import DONE, ConfigOption, app, settings_of, shown
from gateway.errors import ConfigurationError


@app.command()
def export(
    format_: Annotated[str, typer.Option("--format", help="ndjson.")] = "ndjson",
    config: ConfigOption = None,
) -> int:
    """Write every current FHIR resource, one a line, ordered by type and id."""
    from gateway import app as parts
    from gateway.model.audit import AuditRecord
    from gateway.model.caller import UNRESTRICTED

    if format_ != "ndjson":
        raise typer.BadParameter("this version writes ndjson", param_hint="--format")
    settings = settings_of(config)
    if settings.database_file and not settings.database_file.is_file():
        raise ConfigurationError(f"{shown(settings.database_file)}: no database yet; musubi ingest makes it")
    count = 0
    with parts.storage(settings) as store:
        store.audit.record(AuditRecord("110106", "export", "R", 0, "musubi export"))
        for resource in store.resources.export(UNRESTRICTED):
            sys.stdout.buffer.write(resource.body + b"\n")
            count += 1
    sys.stdout.flush()
    typer.echo(f"{count:,} resources", err=True)
    return DONE
