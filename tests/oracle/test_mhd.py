"""The HL7 validator reads what MHD answers. Offline it knows no package of IHE, so that an extension of IHE or ours is
unknown to it; everything else has to hold."""

from pathlib import Path

import orjson
import pytest

from tests.mhd_parts import JSON, face
from tests.oracle import hl7_validator
from tests.provide_parts import BINARY, DOCUMENT, FOLDER, SET, binary, bundle, entry, folder, reference, submission_set

pytestmark = pytest.mark.oracle
missing = hl7_validator.missing()


@pytest.mark.skipif(missing is not None, reason=str(missing))
def test_answers_are_valid_for_a_stranger(tmp_path: Path) -> None:
    out = tmp_path / "answers"
    out.mkdir()
    with face(tmp_path) as node:
        sent = bundle(
            entry(FOLDER, folder(1)), entry(SET, submission_set(1, DOCUMENT, FOLDER)), entry(DOCUMENT, reference()),
            entry(BINARY, binary()),
        )  # fmt: skip
        answer = node.ask("/", method="POST", body=orjson.dumps(sent), content_type=JSON)
        who = f"patient={node.patient()}&status=current&_count=3"
        (out / "iti65.json").write_bytes(answer.body)
        (out / "iti66.json").write_bytes(node.ask("/List", f"{who}&code=submissionset,folder").body)
        (out / "iti67.json").write_bytes(node.ask("/DocumentReference", who).body)
        (out / "metadata.json").write_bytes(node.ask("/metadata").body)
    for verdict in hl7_validator.validate(out):
        assert [error for error in verdict.errors if "is unknown, and not allowed here" not in error[1]] == [], (
            verdict.file
        )
