"""What all commands share: the Typer application, exit codes, one line for an error."""

import json
import logging
import os
import secrets
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from gateway.errors import ConfigurationError, GatewayError, codes_for
from gateway.settings import Settings, load

DONE, FINDINGS, USAGE, UNREACHABLE, OUR_ERROR = 0, 1, 2, 3, 70

app = typer.Typer(
    name="musubi",
    help="Musubi (結び): the gateway between regional health networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_debug = False

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="musubi.toml; without it ./musubi.toml, else defaults.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.callback()
def frame(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error of ours.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Musubi (結び): the gateway between regional health networks."""
    global _debug
    _debug = debug
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    if version:
        from gateway.app import software_version

        typer.echo(f"musubi {software_version()}")
        raise typer.Exit


def run(arguments: list[str]) -> int:
    """Runs one command line and turns whatever happens into an exit code and at most one line."""
    try:
        result = app(args=arguments, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        typer.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return USAGE
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        typer.echo("stopped", err=True)
        return 130
    except GatewayError as error:
        return _report(error)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001 - the one place where an error of ours becomes an exit code
        return _our_error(error)
    return result if isinstance(result, int) else DONE


def _report(error: GatewayError) -> int:
    if _debug:
        traceback.print_exception(error)
    typer.echo(f"musubi: {error}", err=True)
    return codes_for(error).exit


def _our_error(error: BaseException) -> int:
    reference = secrets.token_hex(4)
    typer.echo(f"musubi: internal error {reference} ({type(error).__name__}); --debug shows where", err=True)
    if _debug:
        traceback.print_exception(error)
    return OUR_ERROR


def settings_of(config: Path | None) -> Settings:
    """The given file, else ./musubi.toml when there is one, else defaults in open mode."""
    if config is None and Path("musubi.toml").is_file():
        config = Path("musubi.toml")
    return load(config)


def need(paths: list[Path]) -> None:
    """Paths that have to exist."""
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path}: no such file or folder")


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
