"""`musubi query`: one question to all communities, asked through the running node."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli._caller import Door, door
from gateway.cli._frame import DONE, UNREACHABLE, ConfigOption, JsonOption, app, need_oid, print_json, settings_of
from gateway.cli._node import ask_node
from gateway.errors import BadInput, Unavailable
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
    token: Annotated[Path | None, typer.Option(help="Enforced mode: a file that holds a bearer token.")] = None,
    client: Annotated[str, typer.Option(help="Enforced mode: one of [[security.clients]], in place of a token.")] = "",
    client_key: Annotated[Path | None, typer.Option(help="Its private key, a JWK.")] = None,
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
    asking = door(settings, token, client, client_key)
    limit_s = (deadline or settings.federation.deadline_s) + 5
    if not as_json and sys.stdout.isatty() and communities == "all" and deadline is None:
        return watch(asking, patient, wanted, limit_s)
    answer = ask_node(asking.address, "/api/query", limit_s, body, door=asking)
    if as_json:
        print_json(answer)
    else:
        show(answer)
    return DONE if all(one["outcome"] in ANSWERED for one in answer["communities"]) else UNREACHABLE


def watch(asking: Door, patient: str, types: list[str], limit_s: float) -> int:
    """On a terminal: the table grows as the communities answer. Exit codes as `query`."""
    from rich.console import Group
    from rich.live import Live

    answer: dict[str, Any] = {"communities": [], "rows": []}
    with Live(refresh_per_second=8) as live:
        for line in stream_node(asking.address, patient, types, limit_s, asking):
            take(answer, line)
            if "outcome" in line:
                live.update(Group(*shown(answer)))
    return DONE if all(one["outcome"] in ANSWERED for one in answer["communities"]) else UNREACHABLE


def take(answer: dict[str, Any], line: dict[str, Any]) -> None:
    """Puts one line of the stream into the answer that is shown so far."""
    from gateway.services.federation.rows import Row, merge_rows, row_of

    if "outcome" in line:
        answer["communities"].append(line)
        answer["rows"] = [row._asdict() for row in merge_rows(Row(**row) for row in answer["rows"])]
    elif isinstance(line.get("resource"), dict):
        row = row_of(line["resource"], str(line.get("community", "")))
        if row is not None:
            answer["rows"].append(row._asdict())


def stream_node(
    address: str, patient: str, types: list[str], limit_s: float, asking: Door | None = None
) -> Iterator[dict[str, Any]]:
    """Lines of /fhir/$federated-stream. Raises as `ask_node`."""
    import requests

    from gateway.codec import fhir
    from gateway.services.federation.rows import WANTED

    id_ = PatientId.parse(patient)
    asked = {
        "_type": ",".join(WANTED[word].type for word in types),
        "patient.identifier": f"urn:oid:{id_.authority}|{id_.value}",
        "status": "current" if types == ["documents"] else None,
    }
    try:
        with asking.session if asking else requests.Session() as session:
            session.trust_env = False
            named = asking.headers if asking else {}
            url = f"{address}/fhir/$federated-stream"
            with session.get(url, params=asked, headers=named, timeout=limit_s, stream=True) as response:
                if not response.ok:
                    raise BadInput(f"the node refused the question (HTTP {response.status_code})")
                yield from (fhir.parse(line) for line in response.iter_lines(chunk_size=None) if line)
    except (requests.ConnectionError, requests.Timeout):
        raise Unavailable(f"no node answers at {address}; start it with musubi serve") from None


def show(answer: dict[str, Any]) -> None:
    """The rows as a table, and what became of each community."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else PAGE).print(*shown(answer), sep="\n", highlight=False)


def shown(answer: dict[str, Any]) -> list[Any]:
    """The table and a line a community, for rich."""
    from rich.table import Table

    names = {one["community"]: one["name"] or one["community"] for one in answer["communities"]}
    table = Table(show_edge=False, pad_edge=False)
    for title in ("日付 date", "種別", "項目 item", "値 value", "地域 community"):
        table.add_column(title, overflow="fold")
    for row in answer["rows"]:
        value = " ".join(part for part in (row["value"], row["unit"]) if part)
        where = names.get(row["community"], row["community"])
        table.add_row(row["date"][:16].replace("T", " "), row["type"], row["name"], value, where)
    said = [f"{one['name'] or one['community']}: {one['outcome']} ({one['ms']} ms)" for one in answer["communities"]]
    return [table if answer["rows"] else "該当なし nothing found", *said]
