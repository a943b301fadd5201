"""`musubi serve`: runs a node."""

from typing import Annotated

import typer

from gateway.cli._frame import DONE, ConfigOption, app, settings_of


@app.command()
def serve(
    role: Annotated[str, typer.Option(help="all or http.")] = "all",
    config: ConfigOption = None,
) -> int:
    """Run this node until it is told to stop (SIGTERM, Ctrl-C)."""
    from gateway import app as parts

    wanted = tuple(role.split(","))
    unknown = [word for word in wanted if word not in ("all", *parts.ROLES)]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: this version runs all or http", param_hint="--role")
    settings = settings_of(config)

    def announce() -> None:
        typer.echo(f"{settings.community.name} ({settings.community.id}) at {settings.http.url}/fhir", err=True)

    parts.serve(settings, announce=announce)
    return DONE
