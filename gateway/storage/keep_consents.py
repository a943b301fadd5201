"""Consents as rows: versions are appended, and the rules that count are written anew for the persons they are about.

Part of the transaction that records a consent, or that links persons (storage/keep_identity.py): consent follows the
person. Which rules count is decided by model/consent.py, `effective`.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.model.consent import Consent, Rule, effective
from gateway.model.identity import PatientId
from gateway.storage.engines import Driver
from gateway.storage.schema import consent, consent_rule

COLUMNS = (
    "id, version, active, category, patient, given, organizations, rules, body, source, evidence, recorded_by, recorded"
)


def keep_consent(driver: Driver, one: Consent) -> None:
    """Appends one version and lets it count."""
    try:
        id_ = PatientId.parse(one.patient)
    except ValueError:
        id_ = PatientId("", "")
    eid = _eid(driver, id_)
    driver.run("UPDATE consent SET current = 0 WHERE id = ? AND current = 1", (one.id,))
    before = {row[0] for row in driver.rows("SELECT eid FROM consent WHERE id = ?", (one.id,))}
    row = (
        driver.number("consent"), one.id, one.version, 1, int(one.active), one.category, one.patient, id_.authority,
        id_.value, eid, one.given, orjson.dumps(list(one.organizations)).decode(), orjson.dumps([tuple(rule) for rule in one.rules]).decode(),
        one.body, one.source, one.evidence, one.recorded_by, one.recorded,
    )  # fmt: skip
    driver.insert(consent, [row])
    settle(driver, {eid, *before})


def follow(driver: Driver, authority: str, value: str, eid: str) -> None:
    """An id leads to another person than before: what was consented under it goes along. Called by keep_identity."""
    key = (authority, value)
    before = {row[0] for row in driver.rows("SELECT DISTINCT eid FROM consent WHERE authority = ? AND value = ?", key)}
    if before - {eid}:
        driver.run("UPDATE consent SET eid = ? WHERE authority = ? AND value = ?", (eid, *key))
        settle(driver, {eid, *before})


def settle(driver: Driver, eids: Iterable[str]) -> None:
    """Writes the rules of these persons anew."""
    for eid in sorted(set(eids) - {""}):
        sql = f"SELECT {COLUMNS} FROM consent WHERE eid = ? AND current = 1 AND active = 1"
        rules = effective([consent_of(row) for row in driver.rows(sql, (eid,))])
        driver.run("DELETE FROM consent_rule WHERE eid = ?", (eid,))
        driver.insert(consent_rule, [(eid, n, rule.level, int(rule.deny), *rule[2:]) for n, rule in enumerate(rules)])
    driver.run(
        "INSERT INTO consent_state (one, version) VALUES (1, 1)"
        " ON CONFLICT (one) DO UPDATE SET version = consent_state.version + 1"
    )


def consent_of(row: Any) -> Consent:
    """A row of COLUMNS."""
    id_, version, active, category, patient, given, organizations, rules, *rest = row
    read = tuple(Rule(level, bool(deny), *more) for level, deny, *more in orjson.loads(rules))
    return Consent(
        id_, version, bool(active), category, patient, given, tuple(orjson.loads(organizations)), read, *rest
    )


def _eid(driver: Driver, id_: PatientId) -> str:
    row = driver.row("SELECT eid FROM identity WHERE authority = ? AND value = ?", (id_.authority, id_.value))
    if row is None:
        # The affinity domain's own number of a person is the enterprise id itself.
        row = driver.row("SELECT eid FROM identity_patient WHERE eid = ? LIMIT 1", (id_.value,))
    return row[0] if row else ""
