"""HL7 v2 messages and a real node's services to send them to, for tests of everything behind the MLLP socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import app
from gateway.codec.mllp import Block
from gateway.ihe._v2 import Replies, V2Services, answer
from gateway.model.clock import Clock
from gateway.settings import Database, Settings
from gateway.storage.opening import Storage
from tests.postgres import url_for

ARC = "1.2.392.200119.99999"
LEDGER = "ledger WHERE substr(path, 1, 5) = CAST('mllp:' AS BLOB)"
"""Its rows of messages."""
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AUTHORITIES = [
    {"oid": f"{ARC}.2", "namespace": "TOKYO-HP", "institution": "1310000001", "aliases": ["TKY"]},
    {"oid": f"{ARC}.22", "namespace": "OSAKA-HP"},
    {"oid": f"{ARC}.3", "namespace": "MEDICAL-ID", "kind": "medical-id"},
]


def settings(directory: Path, **more: Any) -> Settings:
    given = {"directory": directory, "security": {"mode": "open"}, "authorities": AUTHORITIES}
    return Settings.model_validate({**given, **more})


def lab(
    control_id: str = "M1",
    *,
    patient: str = "0001^^^^PI",
    order: str = "000000000000101",
    value: str = "7.2",
    time: str = "20260102110000",
    msh: str = "",
    facility: str = "TOKYO-HP",
    type_: str = "OUL^R22^OUL_R22",
    processing: str = "P",
    version: str = "2.5",
    application: str = "LAB",
    pid: str = "",
    charset: str = "~ISO IR87",
) -> bytes:
    """One laboratory result (検体検査結果). `msh` stands from MSH-13 on, up to MSH-17: `||AL|AL|` asks for both
    acknowledgements."""
    between = msh or "|||||"
    lines = [
        f"MSH|^~\\&|{application}|{facility}|GW|REGION|{time}||{type_}|{control_id}|{processing}|{version}{between}|{charset}",
        pid or f"PID|1||{patient}||見本^花子^^^^^L^I~ミホン^ハナコ^^^^^L^P||19700405|F",
        "SPM|1|||023^血清^JC10|||||||||||||20260102083000",
        f"OBR|1|{order}|{order}|E001^生化学検査^99LAB|||20260102083000||||||||||||||||||F",
        f"ORC|SC|{order}|{order}||CM",
        f"OBX|1|NM|3C015000002327101^クレアチニン^JC10||{value}|mg/dL^mg/dL^99UNT|0.6-1.1|H|||F|||20260102083000",
    ]
    return ("\r".join(lines) + "\r").encode("utf-8" if "UTF-8" in charset else "iso2022_jp")


@contextmanager
def node(directory: Path, clock: Clock | None = None, **more: Any) -> Iterator[tuple[V2Services, Storage]]:
    """The services of a node over a store in `directory`, which may hold one already."""
    chosen = settings(directory, **more)
    if url := url_for(directory):
        chosen = chosen.model_copy(update={"database": Database(url=url)})
    fixed = clock or Clock(lambda: NOW)
    with app.storage(chosen, fixed) as parts:
        yield app.Node(chosen, parts, fixed).v2(), parts


def send(services: V2Services, message: bytes, address: str = "192.0.2.7") -> list[str]:
    """Segments of all answers, in order."""
    return segments(answer(Block(message), address, services))


def segments(replies: Replies) -> list[str]:
    return [line for one in replies.messages for line in one.decode("utf-8").rstrip("\r").split("\r")]


def rows(parts: Storage, sql: str) -> list[tuple[Any, ...]]:
    with parts.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]
