"""`musubi mapping`: the mapping as a product: checked, documented, given out as ConceptMaps."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli._frame import DONE, FINDINGS, ConfigOption, JsonOption, app, print_json, settings_of


@app.command()
def mapping(
    action: Annotated[str, typer.Argument(help="lint: check the files. docs: print them.", metavar="lint|docs")],
    overlay: Annotated[Path | None, typer.Option(help="The site's folder; else [mapping] overlay.")] = None,
    format_: Annotated[str, typer.Option("--format", help="docs: markdown or conceptmap (NDJSON).")] = "markdown",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check the mapping (項目対応), ours and a site's overlay, or print it."""
    if action not in ("lint", "docs"):
        raise typer.BadParameter("lint or docs", param_hint="lint|docs")
    if format_ not in ("markdown", "conceptmap"):
        raise typer.BadParameter("markdown or conceptmap", param_hint="--format")
    folder = overlay or settings_of(config).overlay
    return _lint(folder, as_json) if action == "lint" else _docs(folder, format_)


def _lint(folder: Path | None, as_json: bool) -> int:
    from gateway.services.mapping_lint import lint

    found = lint(folder)
    if as_json:
        print_json({"findings": [fault._asdict() for fault in found]})
    else:
        for fault in found:
            typer.echo(str(fault))
        typer.echo(f"{len(found)} findings", err=True)
    return FINDINGS if any(fault.severity == "error" for fault in found) else DONE


def _docs(folder: Path | None, format_: str) -> int:
    from gateway import mapping_files
    from gateway.codec.fhir import render
    from gateway.translate import concept_maps, describe

    mapping_files.configure(folder)
    if format_ == "markdown":
        typer.echo(describe.markdown(), nl=False)
        return DONE
    for name in concept_maps.code_tables():
        sys.stdout.buffer.write(render(concept_maps.concept_map(name)) + b"\n")
    sys.stdout.flush()
    return DONE
