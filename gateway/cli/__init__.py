"""The command `musubi`. One module a command; heavy imports stand inside the commands, so that --help is quick."""

import io
import sys

from gateway.cli._frame import app, run

from gateway.cli import (  # noqa: F401  isort: skip
    audit,
    consent,
    convert,
    demo,
    doctor,
    export,
    ingest,
    init,
    mapping,
    match,
    notifications,
    person,
    pki,
    query,
    report,
    sbom,
    serve,
    sign,
    validate,
    verify,
)


def main() -> None:
    """Entry point: exit 0 done, 1 findings, 2 wrong usage or configuration, 3 a part is unreachable, 70 our error."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that does not know 結び shows an escape; no command ends because of it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


__all__ = ["app", "main"]
