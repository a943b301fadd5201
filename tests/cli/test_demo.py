"""`musubi demo`: the promise of the front page, kept in one run; and what it refuses."""

import json
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import demo


@pytest.fixture
def three_ports() -> int:
    """The first of three neighbours that are free, and three more for MLLP."""
    for port in range(20_000, 60_000, 101):
        try:
            for offset in range(6):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return port
    pytest.skip("no three neighbouring ports are free")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="stops its nodes with SIGTERM")
def test_three_communities_answer_one_question(start: Callable[..., Any], three_ports: int) -> None:
    process = start("demo", "--once", "--json", "--port", three_ports, "--dir", "見本 の 部屋")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    answer = json.loads(out)
    assert [(one["name"], one["outcome"]) for one in answer["communities"]] == [
        ("東京", "ok"), ("大阪", "ok"), ("長崎", "ok"),
    ]  # fmt: skip
    found = {(row["community"], row["type"]) for row in answer["rows"]}
    arc = f"urn:oid:{demo.ARC}"
    assert found == {(f"{arc}.1", "lab"), (f"{arc}.20", "lab"), (f"{arc}.40", "rx")}
    assert [row["date"] for row in answer["rows"]] == sorted((row["date"] for row in answer["rows"]), reverse=True)
    assert not any(answers(three_ports + offset) for offset in range(3)), "a node was left behind"


@pytest.mark.skipif(sys.platform == "win32", reason="stops its nodes with SIGTERM")
def test_what_a_hospital_sends_comes_over_mllp(start: Callable[..., Any], three_ports: int) -> None:
    process = start("demo", "--once", "--port", three_ports)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    lines = out.decode().splitlines()
    assert [line for line in lines if "MLLP" in line] == [
        f"{name}: one more lab result (検体検査結果) over MLLP, answered AA"
        for name in ("東京", "大阪")  # 長崎 has prescriptions only
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="stops its nodes with SIGTERM")
def test_told_to_stop_it_leaves_no_node_behind(start: Callable[..., Any], three_ports: int) -> None:
    process = start("demo", "--port", three_ports)
    try:
        while (line := process.stdout.readline()) and b"Ctrl-C" not in line:
            pass
        assert [answers(three_ports + offset) for offset in range(3)] == [True] * 3
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not any(answers(three_ports + offset) for offset in range(3))


def test_reset_removes_only_what_the_demo_made(musubi: Any, tmp_path: Path) -> None:
    precious = tmp_path / "mine"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    result = musubi("demo", "--once", "--reset", "--dir", precious)
    assert result.code == 2 and "not removed" in result.err and (precious / "thesis.txt").exists()


def test_a_port_in_use_is_told_before_any_work(musubi: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        if port > 65_000:
            pytest.skip("the free port is above what --port takes")
        result = musubi("demo", "--once", "--port", port)
    assert result.code == 3 and f"port {port} is in use" in result.err and "--port" in result.err
    assert list(tmp_path.iterdir()) == []


def test_the_sites_name_the_storages_of_the_fixtures() -> None:
    for site in demo.SITES:
        assert (demo._samples() / site.folder / site.institution).is_dir()
