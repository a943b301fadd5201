"""Fifty communities on one node: each is asked, each is named, one answer within its deadline."""

import time
from contextlib import ExitStack
from pathlib import Path

from gateway.sandbox import misbehaving
from gateway.sandbox.stub_community import serve, well
from tests.federation_parts import ARC, MEDICAL_ID, client_of, fed_node, peer, stub


def test_fifty(tmp_path: Path) -> None:
    homes = [f"urn:oid:{ARC}.{500 + number}" for number in range(50)]
    bad = {homes[7]: "hang", homes[23]: "error", homes[42]: "garbage"}
    with ExitStack() as stack:
        parts = stack.enter_context(fed_node(tmp_path, []))
        peers = []
        for home in homes:
            one = stub(home, 1)
            answering = misbehaving.KINDS[bad[home]](one) if home in bad else well(one)
            peers.append(peer(home, stack.enter_context(serve(answering))))
        client = client_of(tmp_path, parts, *peers, federation={"deadline_s": 8})
        asked = {"patient": str(MEDICAL_ID), "types": ["lab"]}
        began = time.monotonic()
        answer = client.post("/api/query", json=asked).get_json()
        took = time.monotonic() - began
    said = {one["community"]: one["outcome"] for one in answer["communities"]}
    assert len(said) == 51 and took < 8.3
    assert {home: said[home] for home in bad} == dict(zip(bad, ("timeout", "failed", "failed"), strict=True))
    assert [said[home] for home in homes if home not in bad] == ["ok"] * 47
    assert {row["community"] for row in answer["rows"]} == set(homes) - set(bad)
