"""`musubi sign`: a signature into an XML document, or beside any document."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli._frame import DONE, JsonOption, app, need, print_json, shown
from gateway.errors import ConfigurationError


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="The document.", metavar="FILE")],
    cert: Annotated[Path, typer.Option("--cert", help="PEM: the signer's certificate, then its chain.")],
    out: Annotated[Path, typer.Option("--out", help="Where the signed document or the signature goes.")],
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of the private key.")] = None,
    module: Annotated[Path | None, typer.Option("--module", help="PKCS#11 library of a card or HSM.")] = None,
    token: Annotated[str, typer.Option("--token", help="Label of the token.")] = "",
    label: Annotated[str, typer.Option("--label", help="Label of the key on the token.")] = "",
    pin_file: Annotated[
        Path | None, typer.Option("--pin-file", help="PIN of the token, or password of the key.")
    ] = None,
    detached: Annotated[bool, typer.Option("--detached", help="A CAdES signature beside the document.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Sign a document (署名): XAdES inside XML, or CAdES beside any file. An existing output is never overwritten."""
    from gateway.services.signatures import loading
    from gateway.services.signatures.signing import Signer, sign_detached, sign_xml

    if (key is None) == (module is None):
        raise typer.BadParameter("either --key or --module", param_hint="--key")
    need([one for one in (file, cert, key, module, pin_file) if one])
    if out.exists():
        raise ConfigurationError(f"{shown(out)}: exists already")
    secret = pin_file.read_text("utf-8").rstrip("\r\n") if pin_file else ""
    if key is not None:
        signs = loading.key_file(key, secret.encode() or None)
    else:
        assert module is not None
        signs = loading.token(module, token, label, secret)
    certificate, *chain = loading.load_certificates(cert)
    signer, now, document = Signer(certificate, tuple(chain), signs), datetime.now(UTC), file.read_bytes()
    if detached:
        made = sign_detached(document, signer, now)
    else:
        made = sign_xml(document, signer, now, f"musubi-{now:%Y%m%d%H%M%S%f}")
    out.write_bytes(made)
    if as_json:
        print_json({"written": str(out), "bytes": len(made)})
    else:
        typer.echo(f"{shown(out)}: {len(made):,} bytes")
    return DONE
