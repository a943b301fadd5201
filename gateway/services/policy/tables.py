"""The tables of mappings/policy, read once and checked."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gateway import mapping_files
from gateway.errors import ConfigurationError
from gateway.model.caller import Term, TypeFilter
from gateway.model.consent import Rule

ACTIONS: Final = ("query", "retrieve", "read", "submit")
"""Words of `grants.actions`."""
LEVELS: Final = "ULMNRV"
"""Confidentiality from low to high (v3-Confidentiality)."""
LOINC: Final = ("http://loinc.org", "2.16.840.1.113883.6.1")


class Act(NamedTuple):
    """What a request does, as policy sees it."""

    transaction: str
    action: str
    """Of ACTIONS; `emergency`: declaring one."""
    type: str
    """FHIR type, or `*`."""
    right: str = ""
    """SMART v2: c r u d s; what a token has to allow."""
    person: bool = True
    """Somebody has to be vouched for; otherwise a listed node may do it alone."""


def purpose_of(code: str) -> str:
    """The XSPA word of a purpose of use, in whichever of the systems it is written; "" for one nobody knows."""
    return PURPOSES.get(code, "")


def act_of(transaction: str) -> Act:
    """Raises KeyError for a transaction without a declared policy."""
    return TRANSACTIONS[transaction]


def interaction(name: str, type_: str) -> Act:
    """A FHIR interaction on a type. Raises KeyError."""
    action, right = INTERACTIONS[name]
    return Act(name, action, type_, right)


def ceiling(level: str) -> frozenset[str]:
    """Confidentiality codes up to one."""
    return frozenset(LEVELS[: LEVELS.index(level) + 1])


def bare(oid: str) -> str:
    """An OID without `urn:oid:`; ids of organisations and coding schemes are written both ways."""
    return oid.removeprefix("urn:oid:")


def same_role(role: str) -> str:
    """`code^^scheme` with the scheme in one form."""
    code, _, scheme = role.partition("^^")
    return f"{code}^^{bare(scheme)}"


def twins(system: str) -> tuple[str, ...]:
    """A code system as FHIR and as XDS write it: documents carry OIDs, resources URIs."""
    if system in LOINC:
        return LOINC
    oid = bare(system)
    if oid[:1].isdigit():
        return (f"urn:oid:{oid}", oid)
    return (system,)


def data_class(name: str, rule: Rule) -> tuple[Rule, ...]:
    """`rule` for each kind of data of a class of the paper forms. Raises ConfigurationError for an unknown class."""
    if name not in DATA_CLASSES:
        raise ConfigurationError(f"no data class {name!r}; known: {', '.join(sorted(DATA_CLASSES))}")
    return tuple(
        rule._replace(type=type_, param=param, system=system, code=code)
        for type_, param, system, code in DATA_CLASSES[name]
    )


def emergency_types(today: str) -> tuple[TypeFilter, ...]:
    """The emergency data set; `today` (instant) bounds what has an age."""
    return tuple(
        TypeFilter(type_, terms, _days_before(today, days) if days else "") for type_, terms, days in EMERGENCY
    )


def _days_before(instant: str, days: int) -> str:
    moment = datetime.fromisoformat(instant) - timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _rows(name: str) -> list[dict[str, str]]:
    return list(mapping_files.read_csv(mapping_files.path("policy", name)))


def _transactions() -> dict[str, Act]:
    found: dict[str, Act] = {}
    for row in _rows("transactions.csv"):
        if row["transaction"] in found or row["action"] not in (*ACTIONS, "emergency"):
            raise ConfigurationError(f"policy/transactions.csv: {row['transaction']}")
        found[row["transaction"]] = Act(
            row["transaction"], row["action"], row["type"], row["right"], row["person"] == "required"
        )
    return found


def _emergency() -> tuple[tuple[str, tuple[Term, ...], int], ...]:
    found = []
    for row in _rows("emergency.csv"):
        values = tuple((system, row["code"]) for system in twins(row["system"]))
        terms = (Term(row["param"], values),) if row["param"] else ()
        found.append((row["type"], terms, int(row["days"] or 0)))
    return tuple(found)


def _data_classes() -> dict[str, tuple[tuple[str, str, str, str], ...]]:
    found: dict[str, tuple[tuple[str, str, str, str], ...]] = {}
    for row in _rows("data-classes.csv"):
        line = (row["type"], row["param"], row["system"], row["code"])
        found[row["class"]] = (*found.get(row["class"], ()), line)
    return found


PURPOSES: Final = {row["code"]: row["purpose"] for row in _rows("purposes.csv")}
TRANSACTIONS: Final = _transactions()
INTERACTIONS: Final = {row["interaction"]: (row["action"], row["right"]) for row in _rows("interactions.csv")}
ROUTES: Final = {(row["rule"], row["method"]): row["policy"] for row in _rows("routes.csv")}
EMERGENCY: Final = _emergency()
DATA_CLASSES: Final = _data_classes()
