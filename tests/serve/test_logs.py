"""The log of a process: JSON lines on stderr, nothing on stdout."""

import json
from typing import Any

import structlog

from gateway.serve.logs import log_to_stderr


def test_one_json_object_a_line_on_stderr(capsys: Any) -> None:
    before = structlog.get_config()
    try:
        log_to_stderr()
        structlog.get_logger("x").info("request", route="/fhir/Patient/{id}", status=200)
    finally:
        structlog.configure(**before)
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert out == "" and err.count("\n") == 1
    assert (line["event"], line["level"], line["status"]) == ("request", "info", 200) and line["timestamp"].endswith(
        "Z"
    )
