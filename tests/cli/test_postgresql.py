"""The commands of a node whose database is a PostgreSQL server."""

from pathlib import Path
from typing import Any

import requests

from tests.postgres import Cluster


def test_a_node_lives_on_postgresql(
    musubi: Any, node: Any, start: Any, free_port: int, tokyo: Path, postgresql: Cluster, tmp_path: Path
) -> None:
    url = postgresql.empty("node")
    config = node("pg", port=free_port, more=f'[database]\nurl = "{url}"\n')
    plain = node("file")
    for one in (config, plain):
        assert musubi("ingest", tokyo, "-c", one, "--workers", "1").code == 0
    again = musubi("ingest", tokyo, "-c", config, "--workers", "1", "--json")
    (summary,) = again.documents
    assert again.code == 0 and summary["unchanged"] == summary["seen"] > 0
    assert not (config.parent / "musubi.db").exists()

    found = musubi("doctor", "-c", config, "--json")
    (checks,) = found.documents
    assert {one["status"] for one in checks["checks"] if one["check"] == "storage"} == {"ok"}

    def content(which: Path) -> list[dict[str, Any]]:
        exported = musubi("export", "-c", which)
        assert exported.code == 0
        for one in exported.documents:
            del one["meta"]["lastUpdated"]
        return [{**one, "meta": {**one["meta"], "lastUpdated": ""}} for one in exported.documents]

    assert content(config) == content(plain), "one tree, one content, in one order"

    process = start("serve", "-c", config)
    try:
        process.stderr.readline()
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"http://127.0.0.1:{free_port}/fhir/Patient?_summary=count", timeout=20)
            assert answer.status_code == 200 and answer.json()["total"] > 0
            assert session.get(f"http://127.0.0.1:{free_port}/fhir/Patient?name=a%00b", timeout=20).status_code == 400
    finally:
        process.terminate()
        assert process.wait(30) == 0, process.communicate()


def test_a_server_that_does_not_answer_is_exit_3(musubi: Any, node: Any, tokyo: Path, tmp_path: Path) -> None:
    config = node("gone", more=f'[database]\nurl = "postgresql+psycopg://u:topsecret@/x?host={tmp_path}"\n')
    for arguments in (["ingest", tokyo], ["export"], ["doctor"]):
        result = musubi(*arguments, "-c", config)
        assert result.code == 3
        assert "topsecret" not in result.err and b"topsecret" not in result.out
