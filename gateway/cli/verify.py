"""`musubi verify`: are the signatures of a document good, and whose are they?"""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli._frame import DONE, FINDINGS, ConfigOption, JsonOption, app, need, print_json, settings_of

if TYPE_CHECKING:
    from gateway.services.signatures.trust import Trust
    from gateway.settings import Settings


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The document.", metavar="FILE")],
    signature: Annotated[Path | None, typer.Option("--signature", help="A detached signature (.p7s, DER).")] = None,
    type_code: Annotated[str, typer.Option("--type", help="typeCode: the signer's profession has to fit it.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check the signatures of a document (署名検証) against [signatures]: outcome, reasons, signer, profession."""
    from gateway.model.signature import PASSED
    from gateway.services.signatures import cades, loading, xades

    need([one for one in (file, signature) if one])
    trust, now = _trust(settings_of(config)), datetime.now(UTC)
    if signature is not None:
        reports = [cades.check(signature.read_bytes(), file.read_bytes(), trust, now)]
    else:
        reports = list(xades.check(file.read_bytes(), trust, now))
    wanted = loading.roles_for(type_code)
    good = bool(reports) and all(
        one.indication == PASSED and (not wanted or wanted & set(one.roles)) for one in reports
    )
    shown = [_shown(asdict(one), wanted) for one in reports]
    if as_json:
        print_json({"signatures": shown})
    else:
        for one in shown or [{"indication": "UNSIGNED"}]:
            typer.echo("\n".join(f"{name}: {value}" for name, value in one.items() if value not in ("", None, [])))
    return DONE if good else FINDINGS


def _trust(settings: "Settings") -> "Trust":
    from gateway.services.signatures.loading import load_trust

    def path(name: str) -> Path | None:
        return settings.directory / name if name else None

    said = settings.signatures
    crls = [settings.directory / name for name in said.crl_files]
    return load_trust(
        path(said.roots_file), path(said.intermediates_file), crls, path(said.time_stampers_file), said.policies
    )


def _shown(report: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    for name in ("signing_time", "proven_time", "checked"):
        report[name] = report[name].isoformat() if report[name] else None
    for name in ("reasons", "roles", "policies", "covered"):
        report[name] = list(report[name])
    if wanted:
        report["role_fits"] = bool(wanted & set(report["roles"]))
    return report
