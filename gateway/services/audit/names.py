"""The words of mappings/audit."""

from typing import Final

from gateway import mapping_files


def _read(name: str, key: str) -> dict[str, dict[str, str]]:
    return {row[key]: row for row in mapping_files.read_csv(mapping_files.path("audit", name))}


EVENTS: Final = _read("events.csv", "code")
TRANSACTIONS: Final = _read("transactions.csv", "transaction")
ALERTS: Final = tuple(_read("alerts.csv", "rule").values())


def event_name(code: str) -> str:
    return EVENTS[code]["display"] if code in EVENTS else code


def transaction_name(transaction: str, language: str = "name") -> str:
    """In English (`name`) or Japanese (`ja`); its own word where the table has none."""
    return TRANSACTIONS[transaction][language] if transaction in TRANSACTIONS else transaction
