"""`musubi person`: one person of the running node: ids, history, medical ID (医療等ID), links and merges taken back."""

from typing import Annotated, Any

import typer

from gateway.cli._frame import DONE, ConfigOption, JsonOption, app, need_oid, print_json, settings_of
from gateway.cli._node import ask_node
from gateway.model.identity import PatientId

_LIMIT_S = 30.0
_ASKED = {"show": "/api/persons", "history": "/api/persons/history", "medical-id": "/api/medical-ids"}
_DONE = {
    "undo-merge": "/api/persons/$undo-merge",
    "link": "/api/persons/$link",
    "unlink": "/api/persons/$unlink",
    "issue": "/api/medical-ids/$issue",
    "replace": "/api/medical-ids/$replace",
    "suspend": "/api/medical-ids/$suspend",
    "resume": "/api/medical-ids/$resume",
}
_WORDS = "|".join((*_ASKED, *_DONE))


@app.command()
def person(
    action: Annotated[str, typer.Argument(help="What to show or to do.", metavar=_WORDS)],
    id_: Annotated[str, typer.Argument(help="ID^^^&OID&ISO.", metavar="ID")],
    other: Annotated[str, typer.Option(help="link, unlink: the other record.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it stands in the history.")] = "",
    whole: Annotated[bool, typer.Option("--whole", help="history: of all ids of the person.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Ids, history and medical ID (医療等ID) of one person; link, split, take a merge back."""
    if action not in (*_ASKED, *_DONE):
        raise typer.BadParameter(f"{action!r}: {_WORDS}", param_hint="ACTION")
    if (action in ("link", "unlink")) != bool(other):
        raise typer.BadParameter("link and unlink name the other record, and nothing else does", param_hint="--other")
    for value, name in ((id_, "ID"), (other, "--other")):
        _check(value, name)
    address = settings_of(config).http.url
    if action in _ASKED:
        parameters = {"id": id_, **({"person": "true"} if whole else {})}
        answer = ask_node(address, _ASKED[action], _LIMIT_S, parameters=parameters)
    else:
        body = {"holder": id_} if action == "issue" else {"id": id_, "reason": reason}
        answer = ask_node(address, _DONE[action], _LIMIT_S, {**body, **({"other": other} if other else {})})
    if as_json:
        print_json(answer)
    else:
        _show(answer)
    return DONE


def _check(value: str, name: str) -> None:
    try:
        if value:
            need_oid(PatientId.parse(value).authority, name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from None


def _show(answer: dict[str, Any]) -> None:
    """One line a fact; the history one line a change."""
    for line in answer.get("history", ()):
        why = " ".join(part for part in (line["rule"], line["version"]) if part)
        typer.echo(f"{line['at']}  {line['what']:<10} {' '.join(line['ids'])}  {line['who']}  {why}".rstrip())
    for name, value in answer.items():
        if name == "records":
            for one in value:
                names = [name["text"] or f"{name['family']} {name['given']}" for name in _names(one)]
                typer.echo(f"{one['id']}  {' / '.join(names)}  {one['demographics'].get('birth_date', '')}".rstrip())
        elif name != "history":
            typer.echo(f"{name:<13} {'  '.join(value) if isinstance(value, list) else value}".rstrip())


def _names(record: dict[str, Any]) -> list[dict[str, str]]:
    return [{"text": "", "family": "", "given": "", **one} for one in record["demographics"].get("names", ())]
