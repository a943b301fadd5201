"""What all commands share: the Typer application, exit codes, one line for an error."""

import json
import logging
import os
import re
import secrets
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.errors import ConfigurationError, GatewayError, codes_for
from gateway.settings import OID, Settings, load

DONE, FINDINGS, USAGE, UNREACHABLE, OUR_ERROR = 0, 1, 2, 3, 70
STOPPED = 130
"""Ctrl-C, as shells say it."""

# Typer brings its own copy of click since 0.26 and used the package before; these are the classes it really raises.
_UsageError: Any = typer.BadParameter.__base__
_ClickException: Any = _UsageError.__base__

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


def _show_version(wanted: bool) -> None:
    if wanted:
        from gateway.app import software_version

        typer.echo(f"musubi {software_version()}")
        raise typer.Exit


@app.callback()
def frame(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error of ours.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Musubi (結び): the gateway between regional health networks."""
    global _debug
    _debug = debug
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def run(arguments: list[str]) -> int:
    """Runs one command line and turns whatever happens into an exit code and at most one line."""
    global _debug
    _debug = False
    try:
        result = app(args=_debug_first(arguments) or ["--help"], prog_name="musubi", standalone_mode=False)
    except _ClickException as error:
        error.show()
        return USAGE if isinstance(error, _UsageError) else int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("stopped", err=True)
        return STOPPED
    except GatewayError as error:
        return _report(error)
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as error:
        # Typer itself answers a broken pipe with exit 1.
        if isinstance(error.__context__, BrokenPipeError):
            return _reader_gone()
        raise
    except Exception as error:  # noqa: BLE001 - the one place where an error of ours becomes an exit code
        return _system_refused(error) if isinstance(error, OSError) and error.strerror else _our_error(error)
    return USAGE if not arguments else result if isinstance(result, int) else DONE


def _debug_first(arguments: list[str]) -> list[str]:
    """`musubi convert FILE --debug` is what people write when they are told about --debug."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--debug" not in before[1:]:
        return arguments
    rest = [word for word in before if word != "--debug"]
    return ["--debug", *rest, *arguments[len(before) :]]


def _reader_gone() -> int:
    """The reader of our output went away (`| head`): not an error of anybody."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return DONE


def _report(error: GatewayError) -> int:
    if _debug:
        traceback.print_exception(error)
    typer.echo(f"musubi: {error}", err=True)
    return codes_for(error).exit


def _system_refused(error: OSError) -> int:
    """A full disk, a folder without rights: the operator can mend it, and the words are the system's own."""
    if _debug:
        traceback.print_exception(error)
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    typer.echo(f"musubi: {where}{error.strerror}", err=True)
    return USAGE


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
            raise ConfigurationError(f"{shown(path)}: no such file or folder")


def need_oid(word: str, option: str) -> None:
    """An option that takes an OID, or nothing."""
    if word and not re.fullmatch(OID, word):
        raise typer.BadParameter(f"{word!r} is no OID", param_hint=option)


def name_of(path: Path) -> str:
    """A path as text for JSON: bytes that are no UTF-8 (a Shift_JIS name on a file server) stand as escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def shown(path: Path) -> str:
    """A path on one line for people: a line feed in a name must not look like a second message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
