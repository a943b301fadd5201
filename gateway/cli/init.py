"""`musubi init`: a commented configuration to start from."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli._frame import DONE, JsonOption, app, print_json
from gateway.errors import ConfigurationError

TEMPLATE = """\
# Musubi node configuration. Every key may also be set by the environment: MUSUBI_SECTION__KEY.
# The OIDs below are of the test arc 99999 and mean nothing outside tests: ask your federation for yours.

[community]                      # this node
id = "urn:oid:1.2.392.200119.99999.1"          # homeCommunityId
name = "Musubi"
affinity_domain = "1.2.392.200119.99999.1.1"   # OID of the enterprise patient ids (XAD-PID)
repository = "1.2.392.200119.99999.1.2"        # repositoryUniqueId

[database]
url = "sqlite:///musubi.db"      # relative paths count from this file

[blobs]
url = "file:blobs"               # documents larger than 64 KiB; smaller ones are in the database

[http]
host = "127.0.0.1"
port = 8080

[mllp]                           # HL7 v2 messages of hospital systems
host = "127.0.0.1"
port = 2575

[security]
mode = "open"                    # loopback only: no TLS, no assertion, for trials and tests

[federation]
deadline_s = 10                  # total for one question to all communities

[matching]
mode = "auto"                    # auto: what is sure links by itself; review: people decide; off

[exchange_spec]
# lists = "lists/"               # registration lists of 健康情報等交換規約 (docs/exchange-spec.md)

[mapping]
# overlay = "site/"              # the site's own code tables and rows (docs/overlay.md)
# dialect = "1.2.0"              # URIs that convert and export write: 1.2.0 | 1.1.2 | clins

# [[authorities]]                # a patient-id domain this node knows: one block a hospital
# oid = "1.2.392.200119.99999.2"
# namespace = "TOKYO-HP"         # MSH-4 of its messages
# name = "東京総合病院"
# kind = "facility"              # facility | medical-id | insurer | community
# institution = "1310000001"     # 10-digit 医療機関番号: gives the JP Core patient-number system
# aliases = []                   # other names senders use for it

# [[authorities]]                # ids that several communities share link their patients
# oid = "1.2.392.200119.99999.3"
# namespace = "MEDICAL-ID"
# name = "医療等ID"
# kind = "medical-id"

# [[peers]]                      # another community
# id = "urn:oid:1.2.392.200119.99999.20"
# name = "大阪"
# xca = "http://127.0.0.1:8081/xca"
# xcpd = "http://127.0.0.1:8081/xcpd"
# timeout_s = 10
"""


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR")] = Path(), as_json: JsonOption = False) -> int:
    """Write a commented musubi.toml into DIR. An existing one is never overwritten."""
    file = directory / "musubi.toml"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE)
    except FileExistsError:
        raise ConfigurationError(f"{file} exists already; it was left as it is") from None
    if as_json:
        print_json({"written": str(file)})
        return DONE
    typer.echo(f"{file} written; next: musubi ingest --config {file} STORAGE, then musubi serve --config {file}")
    return DONE
