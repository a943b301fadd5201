"""`musubi serve`: runs a node."""

from typing import Annotated

import typer

from gateway.cli._frame import DONE, ConfigOption, JsonOption, app, print_json, settings_of


@app.command()
def serve(
    role: Annotated[str, typer.Option(help="all, or some of http,mllp.")] = "all",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run this node until it is told to stop (SIGTERM, Ctrl-C)."""
    from gateway import app as parts

    wanted = tuple(role.split(","))
    known = ", ".join(("all", *parts.ROLES))
    unknown = [word for word in wanted if word not in ("all", *parts.ROLES)]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: this version runs {known}", param_hint="--role")
    roles = parts.ROLES if "all" in wanted else tuple(name for name in parts.ROLES if name in wanted)
    settings = settings_of(config)

    def announce() -> None:
        secured = "s" if settings.security.mode == "enforced" else ""
        mllp = f"mllp{secured}://{settings.mllp.host}:{settings.mllp.port}"
        where = {"http": f"{settings.base_url}/fhir", "mllp": mllp}
        if as_json:
            own = settings.community
            print_json({"community": own.id, "name": own.name, "listening": {name: where[name] for name in roles}})
            return
        places = ", ".join(where[name] for name in roles)
        typer.echo(f"{settings.community.name} ({settings.community.id}) at {places}", err=True)

    parts.serve(settings, roles, announce=announce)
    return DONE
