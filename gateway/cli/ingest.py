"""`musubi ingest`: SS-MIX2 storages into the node's database, with progress, resume and a list of what is bad."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli._frame import (
    DONE,
    FINDINGS,
    ConfigOption,
    JsonOption,
    app,
    need,
    need_oid,
    print_json,
    settings_of,
    shown,
)
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.model.identity import PatientId
    from gateway.services.ingest.summary import Summary


@app.command()
def ingest(
    paths: Annotated[list[str], typer.Argument(help="Storage roots, folders or files.", metavar="PATH...")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")] = False,
    workers: Annotated[int, typer.Option(help="Worker processes; 0: one a core.", min=0, max=256)] = 0,
    rejects: Annotated[Path | None, typer.Option(help="Where rejects.jsonl goes.")] = None,
    facility: Annotated[str, typer.Option(help="OID of the facility; wins over MSH-4 and folder.")] = "",
    patient: Annotated[str, typer.Option(help="ID^^^&OID&ISO: whose the medication notebooks (お薬手帳) are.")] = "",
    index: Annotated[
        Path | None, typer.Option(help="Export (CSV) or SQLite copy of SSMIXIDX: read what it names as new.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read SS-MIX2 storages and keep what they hold. Run it again at any time: it goes on where it was."""
    from gateway import app as parts

    need_oid(facility, "--facility")
    need([Path(path) for path in paths] + ([index] if index else []))
    owner = _patient(patient)
    settings = settings_of(config)
    rejects_file = rejects or settings.directory / "rejects.jsonl"
    if rejects_file.is_dir() or not rejects_file.parent.is_dir():  # said now, not after a night of reading
        raise ConfigurationError(f"{shown(rejects_file)}: rejects go into a file, in a folder that is there")
    with parts.storage(settings) as store:
        run = parts.ingestor(settings, store, facility, owner)
        progress = _Progress(quiet=as_json or not sys.stderr.isatty())
        with progress:
            summary = run.run(
                paths,
                rejects_file=rejects_file,
                workers=workers or settings.ingest.workers,
                dry_run=dry_run,
                progress=progress.show,
                index=index,
            )
    if as_json:
        print_json(summary.as_dict())
    else:
        _print(summary, dry_run)
    return FINDINGS if summary.reject_codes else DONE


def _patient(cx: str) -> "PatientId | None":
    from gateway.model.identity import PatientId

    try:
        return PatientId.parse(cx) if cx else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--patient") from None


class _Progress:
    """A bar without an end: the tree is walked while it is read, so nobody knows how long it is."""

    def __init__(self, quiet: bool) -> None:
        self._bar = None
        if not quiet:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> None:
        if self._bar:
            self._bar.start()

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, summary: "Summary") -> None:
        if self._bar:
            states = summary.states
            words = f"{summary.seen:,} files: {states['ingested']:,} ingested, {states['unchanged']:,} unchanged"
            self._bar.update(self._task, description=f"{words}, {states['rejected']:,} rejected")


def _print(summary: "Summary", dry_run: bool) -> None:
    states = ", ".join(f"{count:,} {state}" for state, count in summary.states.items() if count)
    typer.echo(f"{summary.seen:,} files{' (dry run)' if dry_run else ''}: {states or 'nothing to do'}")
    for title, counts in (
        ("resources", summary.resources),
        ("issues", summary.issues),
        ("residue (valued, not mapped)", summary.residue),
    ):
        if counts:
            typer.echo(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
    if summary.reject_codes:
        words = ", ".join(f"{code} {count:,}" for code, count in sorted(summary.reject_codes.items()))
        typer.echo(f"errors: {words}" + (f" (see {summary.rejects_file})" if summary.rejects_file else ""))
