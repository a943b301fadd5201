"""What a message may not be kept with: a My Number; and insured persons' numbers in one form."""

from dataclasses import replace

import pytest

from gateway.model.identity import Authority, PatientId
from gateway.services.ingest.messages import ReadingRules
from tests.services.ingest.test_reading import lab, read
from tests.services.ingest.trees import RULES, make_reader

NUMBER = "123456789018"
INSURER = "1.2.392.200119.99999.7"


def _with_id(more: str) -> bytes:
    return lab().replace(b"0000012345^^^^PI", f"0000012345^^^^PI~{more}".encode())


@pytest.mark.parametrize(
    "more", [f"{NUMBER}^^^&1.2.3.4&ISO", f"{NUMBER}^^^MYNUMBER", "1234-5678-9018^^^&1.2.3.4&ISO^NI"]
)
def test_a_my_number_under_an_unknown_authority_keeps_nothing(more: str) -> None:
    outcome = read(_with_id(more))
    assert outcome.messages == () and outcome.quarantine == ()
    (reject,) = outcome.rejects
    assert reject.code == "my-number-refused"
    assert NUMBER not in reject.reason and "1234" not in reject.reason


def test_a_facility_that_counts_in_twelve_digits_is_taken_at_its_word() -> None:
    outcome = read(lab(number=NUMBER), f"{NUMBER}_20260105_OML-11_000000000000777_20260105103000000_01_1")
    assert outcome.rejects == ()


def test_an_insured_person_s_number_links_in_every_width() -> None:
    rules: ReadingRules = replace(RULES, authorities=(*RULES.authorities, Authority(INSURER, "INS", kind="insurer")))
    outcome = read(_with_id(f"12345:ab:187:05^^^&{INSURER}&ISO"), reader=make_reader(rules))
    assert outcome.messages[0].person.ids[1:] == (PatientId("00012345:AB:187:05", INSURER),)
