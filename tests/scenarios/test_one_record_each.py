"""Every message over MLLP, SOAP, MTOM, FHIR and /api leaves exactly one audit record, whether it was answered or refused."""

from pathlib import Path

from gateway import app
from gateway.codec.mllp import Block
from gateway.ihe._v2 import answer
from gateway.serve.http import create_app
from tests.scenarios.test_markers import over_http, v2_messages
from tests.v2_parts import settings

NO_FACE = 404
"""An address that is no face of ours is counted in the log and leaves no record: a scanner would fill the trail."""


def test_one_record_each(tmp_path: Path) -> None:
    chosen = settings(tmp_path, matching={"mode": "off"})
    with app.storage(chosen) as parts:
        node = app.Node(chosen, parts)
        http, v2 = create_app(node.http({})).test_client(), node.v2()
        size, wrong, seen = parts.trail.size(), [], 0
        for number, message in enumerate(v2_messages()):
            answer(Block(message), "192.0.2.7", v2)
            size, left = parts.trail.size(), parts.trail.size() - size
            if left != 1:
                wrong.append((f"MLLP {number}", left))
        for what, given in over_http(http):
            size, left = parts.trail.size(), parts.trail.size() - size
            face = any(f" /{name}" in what for name in ("fhir", "xds/re", "xca", "xcpd", "p"))
            seen += left
            if left != 1 and (face or given.status_code != NO_FACE):
                wrong.append((what, left))
        outcomes = {(one.record.transaction, one.record.outcome == 0) for one in parts.trail.after(0, 10_000)}
        broken = list(parts.trail.broken())
    assert wrong == [] and seen > 200 and broken == []
    assert {("ITI-44", True), ("ITI-44", False), ("ITI-104", True), ("ITI-45", True), ("ITI-18", False)} <= outcomes
