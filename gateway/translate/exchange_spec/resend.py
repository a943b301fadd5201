"""Corrections (section 5): how a record is shown when another content of its key was sent before.

Whether it was is a fact about the set of known versions, not about the order in which they came: a version with an
older update time and another content. So two nodes fed in any order show the same.
"""

from collections.abc import Sequence
from typing import Any

from gateway.translate.exchange_spec.observations import IDENTIFIER, extension
from gateway.translate.ids import name_uuid
from gateway.translate.people import resource

_ACTIVITY = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE"}
_REASON = {
    "coding": [{"system": "https://musubi.invalid/CodeSystem/exchange-reason", "code": "resend"}],
    "text": "再送",
}


def corrected(resources: Sequence[dict[str, Any]], earlier: str) -> list[dict[str, Any]]:
    """The Observations of one record with status `corrected`, and a Provenance that names what they replace.

    `resources`: of the current version, corrected before or not. `earlier`: update time (17 digits) of the newest
    version with another content.
    """
    made = [{**one, "status": "corrected"} for one in resources if one["resourceType"] == "Observation"]
    made.sort(key=lambda one: one["id"])
    main = made[0]
    key = str(main["identifier"][0]["value"]).rpartition("#")[0]
    record = resource("Provenance", name_uuid(main["id"], "resend"))
    record["meta"] = {"source": main["meta"]["source"], **record["meta"]}
    record["target"] = [{"reference": f"Observation/{one['id']}"} for one in made]
    record["recorded"] = main["issued"]
    record["reason"] = [_REASON]
    record["activity"] = {"coding": [_ACTIVITY]}
    record["agent"] = [{"who": {"display": "Musubi"}}]
    record["entity"] = [
        {
            "role": "revision",
            "what": {"identifier": {"system": IDENTIFIER, "value": key}},
            "extension": [{"url": extension("update-time"), "valueString": earlier}],
        }
    ]
    return [*made, record]
