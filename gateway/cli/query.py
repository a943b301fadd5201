"""`musubi query`: one question to all communities, asked through the running node."""

import sys
from typing import Annotated, Any

import typer

from gateway.cli._frame import DONE, UNREACHABLE, ConfigOption, JsonOption, app, need_oid, print_json, settings_of
from gateway.cli._node import ask_node
from gateway.model.identity import PatientId

TYPES = ("lab", "rx", "documents")
ANSWERED = ("ok", "nothing")
PAGE = 120
"""Columns when the output is no terminal."""


@app.command()
def query(
    patient: Annotated[str, typer.Option(help="ID^^^&OID&ISO, any id known here (the medical ID, a local number).")],
    types: Annotated[str, typer.Option("--type", help="lab, rx, documents; several with commas.")] = "lab,rx",
    communities: Annotated[str, typer.Option(help="all, or names or OIDs with commas.")] = "all",
    deadline: Annotated[float | None, typer.Option(help="Seconds for everything.", min=0.1, max=300)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Ask this node and all its peers about one patient. Exit 0 when all answered, 3 when one is silent."""
    wanted = [word.strip() for word in types.split(",")]
    if unknown := [word for word in wanted if word not in TYPES]:
        raise typer.BadParameter(f"{unknown[0]!r}: lab, rx or documents", param_hint="--type")
    try:
        need_oid(PatientId.parse(patient).authority, "--patient")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--patient") from None
    settings = settings_of(config)
    body: dict[str, Any] = {"patient": patient, "types": wanted}
    if communities != "all":
        body["communities"] = [word.strip() for word in communities.split(",")]
    if deadline:
        body["deadline_s"] = deadline
    limit_s = (deadline or settings.federation.deadline_s) + 5
    answer = ask_node(settings.http.url, "/api/query", limit_s, body)
    if as_json:
        print_json(answer)
    else:
        show(answer)
    return DONE if all(one["outcome"] in ANSWERED for one in answer["communities"]) else UNREACHABLE


def show(answer: dict[str, Any]) -> None:
    """The rows as a table, and what became of each community."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else PAGE)
    names = {one["community"]: one["name"] or one["community"] for one in answer["communities"]}
    table = Table(show_edge=False, pad_edge=False)
    for title in ("日付 date", "種別", "項目 item", "値 value", "地域 community"):
        table.add_column(title, overflow="fold")
    for row in answer["rows"]:
        value = " ".join(part for part in (row["value"], row["unit"]) if part)
        where = names.get(row["community"], row["community"])
        table.add_row(row["date"][:16].replace("T", " "), row["type"], row["name"], value, where)
    console.print(table if answer["rows"] else "該当なし nothing found")
    for one in answer["communities"]:
        console.print(f"{one['name'] or one['community']}: {one['outcome']} ({one['ms']} ms)", highlight=False)
