"""`musubi pki demo`: keys and certificates for a trial of enforced mode."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli._frame import DONE, JsonOption, app, print_json


@app.command()
def pki(
    action: Annotated[str, typer.Argument(help="demo: make throw-away keys.", metavar="demo")],
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    as_json: JsonOption = False,
) -> int:
    """Make a throw-away CA, keys of two nodes and of an issuer of assertions, and an example of the configuration."""
    if action != "demo":
        raise typer.BadParameter("only demo keys are made here; real ones come from your CA", param_hint="demo")
    from gateway.model.clock import Clock
    from gateway.sandbox.pki import make

    written = make(directory, Clock().now())
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return DONE
    for path in written:
        typer.echo(str(path))
    typer.echo("demo keys, for loopback addresses only; docs/enforced.md says what to do with them", err=True)
    return DONE
