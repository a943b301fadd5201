"""`musubi audit`: whether the trail is whole, proofs for an auditor, extracts (監査証跡)."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli._frame import DONE, FINDINGS, ConfigOption, JsonOption, app, need, print_json, settings_of

ACTIONS = ("verify", "prove", "export", "access")


@app.command()
def audit(
    action: Annotated[str, typer.Argument(help=", ".join(ACTIONS), metavar="|".join(ACTIONS))],
    number: Annotated[int, typer.Argument(help="prove: number of the record.", metavar="N")] = 0,
    checkpoints: Annotated[
        Path | None, typer.Option("--from-checkpoint", help="verify: file of checkpoints kept outside.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="verify: public key (PEM) of the checkpoints.")] = None,
    form: Annotated[str, typer.Option("--format", help="export: dicom, fhir.")] = "fhir",
    patient: Annotated[str, typer.Option(help="access: ID^^^&OID&ISO of the person.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check, prove or export the audit trail (監査証跡). Reads only; the node may run or not."""
    from gateway import app as parts

    if action not in ACTIONS or form not in ("dicom", "fhir"):
        raise typer.BadParameter(", ".join(ACTIONS), param_hint="ACTION")
    need([path for path in (checkpoints, key) if path is not None])
    settings = settings_of(config)
    with parts.audit_trail(settings) as trail:
        if action == "verify":
            return _verify(trail, settings, checkpoints, key, as_json)
        if action == "prove":
            return _prove(trail, number)
        if action == "export":
            return _export(trail, settings.community.id, form)
    return _access(settings, patient, as_json)


def _verify(trail: Any, settings: Any, file: Path | None, key: Path | None, as_json: bool) -> int:
    from gateway.serve.trust_work import private_key, public_key
    from gateway.services.audit.checkpoint import faults, notes_in

    signed_by = public_key(key) if key else None
    if signed_by is None and settings.audit.key_file:
        signed_by = private_key(settings).public_key()
    notes = [one.note for one in trail.checkpoints()]
    if (
        file is None
        and settings.audit.checkpoint_file
        and (settings.directory / settings.audit.checkpoint_file).is_file()
    ):
        file = settings.directory / settings.audit.checkpoint_file
    if file is not None:
        notes += notes_in(file.read_text(encoding="utf-8", errors="replace"))
    found = [*trail.broken(), *faults(trail, dict.fromkeys(notes), signed_by)]
    if as_json:
        print_json({"records": trail.size(), "checkpoints": len(notes), "findings": found})
    else:
        for line in found:
            typer.echo(line)
        typer.echo(
            f"{trail.size()} records, {len(notes)} checkpoints: {'ALTERED 改ざんあり' if found else 'whole 完全'}"
        )
    return FINDINGS if found else DONE


def _prove(trail: Any, number: int) -> int:
    from gateway.services.audit.checkpoint import leaves
    from gateway.services.audit.tree import inclusion, root

    found = list(leaves(trail))
    if not 1 <= number <= len(found):
        raise typer.BadParameter(f"1 to {len(found)}", param_hint="N")
    proof = {
        "record": number,
        "leaf": found[number - 1].hex(),
        "size": len(found),
        "path": [one.hex() for one in inclusion(found, number - 1)],
        "root": root(found).hex(),
    }
    print_json(proof)
    return DONE


def _export(trail: Any, home: str, form: str) -> int:
    from gateway.codec import fhir
    from gateway.services.audit.dicom import audit_message
    from gateway.services.audit.event import audit_event

    after = 0
    while page := trail.after(after, 1000):
        for stored in page:
            line = audit_message(stored, home) if form == "dicom" else fhir.render(audit_event(stored, home))
            sys.stdout.buffer.write(line + b"\n")
        after = page[-1].n
    sys.stdout.flush()
    return DONE


def _access(settings: Any, patient: str, as_json: bool) -> int:
    from gateway import app as parts
    from gateway.fhir.audit_events import named
    from gateway.model.audit import AuditRecord, AuditSearch
    from gateway.model.identity import PatientId
    from gateway.services.audit.report import accesses, as_csv
    from gateway.services.policy.tables import bare

    try:
        person = PatientId.parse(patient)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--patient") from None
    names = {one.oid: one.name for one in settings.authorities if one.name}
    with parts.storage(settings) as store:
        wanted = named(AuditSearch(limit=1_000_000), person, store.identities)
        lines = list(accesses(store.trail.search(wanted), lambda id_: names.get(bare(id_), id_)))
        store.audit.record(AuditRecord("110101", "access-report", "R", 0, "musubi audit", patient=str(person)))
    if as_json:
        print_json({"accesses": [one._asdict() for one in lines]})
    else:
        typer.echo(as_csv(lines), nl=False)
    return DONE
