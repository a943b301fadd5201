"""The command line in this process, in a folder of its own, with the storages of fixtures/demo to feed it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.cli import _frame

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "fixtures" / "demo"

CONFIG = """\
[community]
id = "urn:oid:1.2.392.200119.99999.1"
name = "東京"
[http]
port = {port}
[mllp]
port = {mllp}
[security]
mode = "open"
[[authorities]]
oid = "1.2.392.200119.99999.2"
namespace = "TOKYO-HP"
institution = "1310000001"
[[authorities]]
oid = "1.2.392.200119.99999.22"
namespace = "OSAKA-HP"
institution = "2710000001"
[[authorities]]
oid = "1.2.392.200119.99999.3"
namespace = "MEDICAL-ID"
kind = "medical-id"
"""


class Result(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def documents(self) -> list[Any]:
        """One JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Musubi = Callable[..., Result]


@pytest.fixture
def musubi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> Musubi:
    """Runs one command line in `tmp_path`, without what this machine's environment says."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MUSUBI_")]:
        monkeypatch.delenv(name)

    def run(*arguments: object) -> Result:
        capsysbinary.readouterr()
        code = _frame.run([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Result(code, captured.out, captured.err.decode("utf-8", "surrogateescape"))

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """For `python -m gateway.cli` in a process of its own, from any folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MUSUBI_")}
    return {**clean, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Callable[..., "subprocess.Popen[bytes]"]:
    """`musubi ARGUMENTS` as a process of its own in `tmp_path`."""

    def popen(*arguments: object, **more: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "gateway.cli", *(str(argument) for argument in arguments)]
        given = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, **(given | more))

    return popen


@pytest.fixture
def node(tmp_path: Path) -> Callable[..., Path]:
    """Writes the configuration of a node in a folder of its own; `more` is TOML at its end."""

    def write(name: str = "node", port: int = 8080, more: str = "", mllp: int = 0) -> Path:
        config = tmp_path / name / "musubi.toml"
        config.parent.mkdir()
        config.write_text(CONFIG.format(port=port, mllp=mllp or _free_port()) + more, encoding="utf-8")
        return config

    return write


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return _free_port()


@pytest.fixture
def tokyo() -> Path:
    return DEMO / "tokyo" / "1310000001"


@pytest.fixture
def osaka() -> Path:
    return DEMO / "osaka" / "2710000001"


def _first(pattern: str) -> Path:
    return sorted(DEMO.rglob(pattern))[0]


@pytest.fixture
def basics() -> Path:
    """An ADT-00 (患者基本情報), valid."""
    return _first("*_ADT-00_*_1")


@pytest.fixture
def labs() -> Path:
    """An OML-11 (検体検査結果), valid."""
    return _first("tokyo/**/*_OML-11_*_1")


@pytest.fixture
def deleted() -> Path:
    return _first("*_OML-11_*_0")


@pytest.fixture
def superseded() -> Path:
    return _first("*_OML-11_*_2")
