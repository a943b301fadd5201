"""`musubi report`: what the data of a storage, a feed or a node are like, in counts."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli._frame import DONE, ConfigOption, JsonOption, app, need, need_oid, print_json, settings_of, shown
from gateway.errors import ConfigurationError


@app.command()
def report(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Storage roots, folders or files.", metavar="PATH...")
    ] = None,
    node: Annotated[bool, typer.Option("--node", help="The messages this node keeps, instead of files.")] = False,
    top: Annotated[int, typer.Option(help="Lines of the longer lists.", min=1, max=10_000)] = 20,
    workers: Annotated[int, typer.Option(help="Worker processes; 0: one a core.", min=0, max=256)] = 0,
    facility: Annotated[str, typer.Option(help="OID of the facility; wins over MSH-4 and folder.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Count how good the data are (データ品質): types, character sets, codes, units, issues. Stores nothing."""
    from gateway import app as parts

    if bool(paths) == node:
        raise typer.BadParameter("either files or --node", param_hint="PATH...")
    need_oid(facility, "--facility")
    need(paths or [])
    settings = settings_of(config)
    if node:
        if settings.database_file and not settings.database_file.is_file():
            raise ConfigurationError(f"{shown(settings.database_file)}: no database yet; musubi ingest makes it")
        with parts.storage(settings) as store:
            found = parts.quality_of_node(settings, store)
    else:
        found = parts.quality(settings, [str(path) for path in paths or []], facility=facility, workers=workers)
    counts = found.as_dict(top)
    if as_json:
        print_json(counts)
    else:
        _print(counts)
    sys.stdout.flush()
    return DONE


def _print(counts: dict[str, Any]) -> None:
    from gateway.cli import _explained

    to = _explained.console()

    def block(title: str, columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
        _explained.block(to, title, columns, [tuple(str(cell) for cell in row) for row in rows])

    to.print(f"{counts['files']:,} files, {counts['messages']:,} messages")
    block("rejected (取り込めない)", ("reason", "count"), list(counts["rejected"].items()))
    block("data types (データ種別)", ("type", "messages"), list(counts["types"].items()))
    charsets = [(row["declared"], row["found"], row["count"]) for row in counts["charsets"]]
    block("character sets (文字コード)", ("MSH-18 says", "bytes are", "messages"), charsets)
    block(
        "coded values (コード化率)",
        ("field", "codes", "standard", "local only", "text only", "standard %"),
        _coded(counts),
    )
    unmapped = [(row["field"], row["system"], row["code"], row["count"]) for row in counts["unmapped"]]
    block("codes without a standard one", ("field", "system", "code", "count"), unmapped)
    units = counts["units"]
    block(
        f"numbers without a unit (単位なし): {units['without']} of {units['numbers']}",
        ("test", "count"),
        [(row["code"], row["count"]) for row in units["codes"]],
    )
    conflicts = [(row["field"], row["system"], row["code"], row["words"]) for row in counts["conflicts"]]
    block("one code, several wordings", ("field", "system", "code", "wordings"), conflicts)
    block("length of JLAC10 codes", ("characters", "count"), list(counts["jlac10"].items()))
    issues = [(row["severity"], row["code"], row["count"]) for row in counts["issues"]]
    block("issues (指摘)", ("severity", "code", "count"), issues)
    block("residue (残余)", ("field", "count"), [(row["field"], row["count"]) for row in counts["residue"]])
    if counts["forgotten"]:
        to.print(f"{counts['forgotten']:,} rare codes did not fit and are not counted")


def _coded(counts: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for row in counts["coded"]:
        whole = row["standard"] + row["local"] + row["text"]
        share = f"{100 * row['standard'] / whole:.1f}" if whole else ""
        rows.append((row["field"], row["name"], row["standard"], row["local"], row["text"], share))
    return rows
