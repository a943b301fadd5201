"""`musubi consent`: the paper forms of consent (同意書), typed in by staff; what a person's consents are now."""

from typing import Annotated

import typer

from gateway.cli._frame import DONE, ConfigOption, JsonOption, app, print_json, settings_of

ACTIONS = ("grant", "withdraw", "change", "exclude", "research-opt-out", "list")


@app.command()
def consent(
    action: Annotated[str, typer.Argument(help=", ".join(ACTIONS), metavar="|".join(ACTIONS))],
    patient: Annotated[str, typer.Option(help="ID^^^&OID&ISO of the person.")],
    facilities: Annotated[
        list[str] | None, typer.Option("--facility", help="Who may see (OID); repeatable; none: all of the network.")
    ] = None,
    excluded: Annotated[
        list[str] | None, typer.Option("--exclude", help="Facility (OID) whose data stay closed; repeatable.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Data class that is shared; repeatable; none: all.")
    ] = None,
    data_from: Annotated[str, typer.Option(help="Share data from this day on (YYYY-MM-DD).")] = "",
    until: Annotated[str, typer.Option(help="Last day of the consent (YYYY-MM-DD).")] = "",
    signed: Annotated[str, typer.Option(help="When it was signed; without it, now.")] = "",
    who: Annotated[str, typer.Option("--who", help="Staff member at the desk.")] = "musubi consent",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record consent (参加・撤回・変更・除外施設) from a paper form, or list what a person said."""
    from gateway import app as parts
    from gateway.codec import fhir
    from gateway.errors import InvalidParameter
    from gateway.model.caller import Caller
    from gateway.model.identity import PatientId
    from gateway.services.consent.forms import Filled, Form, consent_of

    forms: dict[str, Form] = {
        "grant": "participation",
        "withdraw": "withdrawal",
        "change": "change",
        "exclude": "excluded-facilities",
        "research-opt-out": "research-opt-out",
    }
    if action not in ACTIONS:
        raise typer.BadParameter(", ".join(ACTIONS), param_hint="ACTION")
    try:
        person = PatientId.parse(patient)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--patient") from None
    settings = settings_of(config)
    with parts.storage(settings) as store:
        node = parts.Node(settings, store)
        desk = node.trust().consents
        known = desk.of_person(person)
        if action != "list":
            when = signed or node.clock.now().isoformat(timespec="seconds")
            identifier = {"system": f"urn:oid:{person.authority}", "value": person.value}
            filled = Filled(identifier, when, facilities or (), excluded or (), classes or (), data_from, until)
            before = next((one for one in reversed(known) if one.category == "privacy" and one.active), None)
            if action in ("withdraw", "change", "exclude") and before is None:
                raise InvalidParameter("this person has no consent that could be changed")
            changes = before is not None and action in ("withdraw", "change", "exclude")
            resource = consent_of(forms[action], filled, fhir.parse(before.body) if changes and before else None)
            caller = Caller(node="musubi consent", user=who)
            id_ = before.id if changes and before else ""
            desk.record(resource, caller, id_=id_, source="form", transaction="consent-form")
            known = desk.of_person(person)
    rows = [
        {
            "id": one.id,
            "version": one.version,
            "active": one.active,
            "category": one.category,
            "given": one.given,
            "organizations": list(one.organizations),
            "rules": len(one.rules),
            "recorded": one.recorded,
            "recorded_by": one.recorded_by,
        }
        for one in known
    ]
    if as_json:
        print_json({"consents": rows})
    else:
        for row in rows:
            state = "有効 active" if row["active"] else "撤回 withdrawn"
            typer.echo(f"{row['id']} v{row['version']} {state} {row['category']} {row['given']} {row['rules']} rules")
        if not rows:
            typer.echo("no consent (同意なし)")
    return DONE
