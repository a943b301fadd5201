"""A community that answers from files: recorded answers of real networks, with the delays they had.

A folder holds `replay.toml` with one table a rule, tried in order:

    [[answer]]
    action = "urn:ihe:iti:2007:CrossGatewayQuery"   # of the request; "" for any
    contains = "1.2.3.4"                             # a text of the request; "" for any
    file = "iti38.xml"                               # envelope, or a whole HTTP body with `content_type`
    delay_s = 1.5
    status = 200

In an envelope these marks are replaced by what the request says: `{MessageID}`, `{messageRoot}`, `{messageExtension}`,
`{queryRoot}`, `{queryExtension}`; an envelope without them is sent as it was recorded, defects included.

`python -m gateway.sandbox.replayer FOLDER --port N` runs one.
"""

import argparse
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from gateway.codec import soap
from gateway.codec.xml import escape
from gateway.errors import ConfigurationError
from gateway.sandbox.stub_community import Answering, Reply, serve, write


@dataclass(frozen=True, slots=True)
class Rule:
    file: bytes
    action: str = ""
    contains: bytes = b""
    delay_s: float = 0.0
    status: int = 200
    content_type: str = soap.MEDIA_TYPE

    def answers(self, body: bytes) -> bool:
        return self.action.encode() in body and self.contains in body


def load(folder: Path) -> tuple[Rule, ...]:
    """Raises ConfigurationError for a folder that cannot be replayed."""
    try:
        rows = tomllib.loads((folder / "replay.toml").read_text("utf-8")).get("answer", [])
        return tuple(
            Rule(
                (folder / row["file"]).read_bytes(),
                row.get("action", ""),
                row.get("contains", "").encode(),
                float(row.get("delay_s", 0)),
                int(row.get("status", 200)),
                row.get("content_type", soap.MEDIA_TYPE),
            )
            for row in rows
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{folder}: not a folder to replay ({type(error).__name__})") from None


_MARKS = {
    b"{MessageID}": rb"<(?:\w+:)?MessageID[^>]*>([^<]*)<",
    b"{messageRoot}": rb'<id root="([^"]*)"',
    b"{messageExtension}": rb'<id root="[^"]*" extension="([^"]*)"',
    b"{queryRoot}": rb'<queryId root="([^"]*)"',
    b"{queryExtension}": rb'<queryId root="[^"]*" extension="([^"]*)"',
}


def filled(recorded: bytes, request: bytes) -> bytes:
    """The recorded answer with the marks replaced."""
    for mark, pattern in _MARKS.items():
        if mark in recorded:
            found = re.search(pattern, request)
            recorded = recorded.replace(mark, escape(found[1].decode("utf-8", "replace")).encode() if found else b"")
    return recorded


def replay(rules: tuple[Rule, ...], pause: Callable[[float], object] = time.sleep) -> Answering:
    """The first rule that fits answers; none: HTTP 404."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        for rule in rules:
            if rule.answers(body):
                pause(rule.delay_s)
                write(handler, Reply(rule.status, rule.content_type, filled(rule.file, body)))
                return
        write(handler, Reply(404, "text/plain", b"nothing recorded\n"))

    return answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox.replayer")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with serve(replay(load(given.folder)), given.port) as address:
        print(address, flush=True)
        time.sleep(86_400)


if __name__ == "__main__":
    main()
