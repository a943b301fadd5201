"""A route, a SOAP transaction or a message of MLLP without a declared policy fails the build."""

from flask import Flask

from gateway import ihe
from gateway.ihe._v2 import TRANSACTIONS as V2
from gateway.services.policy.tables import ROUTES, TRANSACTIONS


def test_every_soap_transaction_declares_its_policy() -> None:
    missing = {one.number for one in ihe.TRANSACTIONS} - set(TRANSACTIONS)
    assert not missing, f"no row in mappings/policy/transactions.csv for {missing}"


def test_every_message_over_mllp_declares_its_policy() -> None:
    missing = {one.name for one in V2} - set(TRANSACTIONS)
    assert not missing, f"no row in mappings/policy/transactions.csv for {missing}"


def test_every_route_declares_its_policy(app: Flask) -> None:
    found = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    missing = {(rule, method) for rule, method in found if (rule, method) not in ROUTES and (rule, "*") not in ROUTES}
    assert not missing, f"no row in mappings/policy/routes.csv for {sorted(missing)}"


def test_every_declared_policy_is_one() -> None:
    assert set(ROUTES.values()) <= {"public", "node", "fhir", "soap", *TRANSACTIONS}
