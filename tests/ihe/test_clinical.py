"""Which messages are taken as clinical ones: all that translation knows."""

from pathlib import Path

from gateway.codec.head import read_head
from gateway.ihe import clinical
from gateway.translate.rules import table
from tests.v2_parts import lab, node, send

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def test_every_type_that_translation_knows_is_taken() -> None:
    assert clinical.message_types() >= table("message-types").keys() >= {"OUL^R22", "RDE^O11", "ADT^A08", "PPR^ZD1"}
    for name in clinical.message_types():
        assert clinical.takes(read_head(lab(type_=name)))


def test_the_third_component_does_not_matter_and_the_second_does() -> None:
    assert clinical.takes(read_head(lab(type_="OUL^R22^OUL_R99")))
    assert not clinical.takes(read_head(lab(type_="OUL^R99^OUL_R22")))
    assert not clinical.takes(read_head(lab(type_="OUL")))


def test_what_is_read_from_a_storage_is_taken_over_mllp_too(tmp_path: Path) -> None:
    """Every golden input, one after the other: stored, or refused for its content and never for its kind."""
    answers: dict[str, set[str]] = {}
    with node(tmp_path) as (services, _):
        for golden in sorted(GOLDEN.glob("*/*/in.hl7")):
            message = golden.read_bytes()
            head = read_head(message)
            (msa,) = [line for line in send(services, message) if line.startswith("MSA")]
            code = msa.split("|")[1]
            assert code in ("AA", "AE"), golden
            answers.setdefault(f"{head.type}^{head.trigger}", set()).add(code)
    # The merge retires a number that nobody fed here.
    assert [name for name, codes in answers.items() if "AA" not in codes] == ["ADT^A40"]
    assert answers.keys() >= {"OUL^R22", "RDE^O11", "PPR^ZD1", "ADT^A08", "ADT^A04", "ADT^A01", "ADT^A03"}
