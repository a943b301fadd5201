"""gateway/translate/jahistc/layout.py and said.py: a notebook to FHIR and back."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from gateway.codec import fhir, jahistc
from gateway.codec.jahistc import Notebook, Record, render
from gateway.profiles.validator import Validator
from gateway.translate.context import Facilities
from gateway.translate.jahistc.definitions import definitions
from gateway.translate.jahistc.layout import ITEM, NOTEBOOK, notebooks_of
from gateway.translate.jahistc.source import read_file
from gateway.translate.people import CORE
from tests.translate.jahistc.notebooks import HEADS, converted, notebooks, of

SAMPLES = Path(__file__).parents[3] / ".." / "shared" / "samples" / "otc"
VALIDATOR = Validator.default()


def filled(records: tuple[Record, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Records without trailing empty items and without blanks around items, which mean nothing."""
    found = []
    for record in records:
        items = [item.strip(" \u3000") for item in record.items]
        while items and not items[-1]:
            items.pop()
        found.append((record.number, tuple(items)))
    return found


def back(resources: tuple[dict, ...]) -> list[Notebook]:
    """Through the bytes that are stored and sent, as another system would read them."""
    return notebooks_of([fhir.parse(fhir.render(resource)) for resource in resources])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(notebooks())
def test_a_notebook_comes_back_with_its_order_and_every_item(notebook: Notebook) -> None:
    sent = render(notebook.records, version=notebook.version, direction=notebook.direction).data
    [one] = read_file(sent, "x.csv", Facilities())
    assert one.error is None
    [found] = back(one.resources)
    assert (found.version, found.direction) == (notebook.version, notebook.direction)
    assert filled(found.records) == filled(notebook.records)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(notebooks())
def test_every_notebook_is_valid_fhir(notebook: Notebook) -> None:
    [one] = read_file(render(notebook.records, direction=notebook.direction).data, "x.csv", Facilities())
    errors = [
        (resource["resourceType"], finding.expression, finding.text)
        for resource in one.resources
        for finding in VALIDATOR.check(resource)
        if finding.severity in ("error", "fatal")
    ]
    assert errors == []


def test_an_ordinary_notebook_is_said_by_fhir_elements_alone() -> None:
    """What has to be kept beside shows how much of the notebook FHIR itself says: here nothing but the era."""
    one = converted(
        "2,1,卵,1", "5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", "281,1,一包化,1", "301,1,【分３　毎食後】,14,日分,1,1,,1",
        "201,2,貼付剤,14,枚,4,1234567F1234,1", "301,2,【患部に貼付】,1,調剤,5,1,,1", "421,3錠残,1",
    )  # fmt: skip
    kept = [e["valueString"] for r in one.resources for e in r.get("extension", ()) if e["url"] == ITEM]
    assert kept == ["1[1]-3=S450102", "1[1]-10=ｼｹﾝ ﾀﾛｳ"]


def test_dispenses_that_no_notebook_told_are_written_as_one() -> None:
    one = converted(
        "5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", "201,1,薬Ｂ,6,錠,1,,1", "301,1,【分３　毎食後】,14,日分,1,1,,1",
        "5,20250701,1", *HEADS, "201,1,薬Ｃ,1,錠,1,,1", "301,1,【頭痛時】,10,回分,3,1,,1",
    )  # fmt: skip
    stripped = [
        {key: value for key, value in resource.items() if key != "extension"}
        for resource in one.resources
        if resource["resourceType"] != "Provenance"
    ]
    [found] = back(tuple(stripped))
    assert [record.text() for record in found.records] == [
        "1,試験 太郎,1,19700102,100-0001,東京都千代田区試験町1-1,03-0000-0001,試験 花子 090-0000-0000,Ａ＋,63.70,シケン タロウ",
        "5,20250701", "11,試験薬局,13,4,9900001,100-0002,東京都試験町2-2,03-0000-0002", "15,試験 薬子,03-0000-0002",
        "51,試験病院,13,1,9900002", "55,試験 医太,内科", "201,1,薬Ｃ,1,錠,1", "301,1,【頭痛時】,10,回分,3,1",
        "5,20250610", "11,試験薬局,13,4,9900001,100-0002,東京都試験町2-2,03-0000-0002", "15,試験 薬子,03-0000-0002",
        "51,試験病院,13,1,9900002", "55,試験 医太,内科",
        "201,1,薬Ａ,3,錠,1", "201,1,薬Ｂ,6,錠,1", "301,1,【分３　毎食後】,14,日分,1,1",
    ]  # fmt: skip
    assert jahistc.parse(render(found.records).data).issues == ()


def test_a_patient_without_any_drug_has_no_notebook() -> None:
    one = converted()
    assert notebooks_of(of(one, "Patient")) == []


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not here")
@pytest.mark.parametrize("name", ["valid-01-dispense", "valid-02-patient-to-provider", "valid-04-old-version-06"])
def test_published_samples_come_back_byte_for_byte(name: str) -> None:
    sent = (SAMPLES / f"{name}.csv").read_bytes()
    [one] = read_file(sent, f"{name}.csv", Facilities())
    [found] = back(one.resources)
    assert filled(found.records) == filled(jahistc.parse(sent).records)


def test_both_extensions_are_defined_and_the_contained_prescription_keeps_its_profile() -> None:
    check = VALIDATOR.check
    assert [one["url"] for one in definitions()] == [ITEM, NOTEBOOK]
    assert [f for one in definitions() for f in check(one) if f.severity in ("error", "fatal")] == []
    made = converted("5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", "301,1,【分３　毎食後】,14,日分,1,1,,1")
    (dispense,) = of(made, "MedicationDispense")
    request = {**dispense["contained"][-1], "meta": {"profile": [CORE + "JP_MedicationRequest"]}}
    request["requester"] = {"display": "55"}  # it names the other contained resource
    assert [f for f in check(request) if f.severity in ("error", "fatal")] == []
