"""IHE transactions, one module each. The tuple below is the only list of them: routes, descriptions and documentation
are made from it."""

from typing import BinaryIO, Final

from gateway.ihe import _wsdl, iti18, iti38, iti39, iti43
from gateway.ihe._soap import Transaction, WireResponse, answer
from gateway.model.caller import Caller
from gateway.services.documents import DocumentServices

TRANSACTIONS: Final[tuple[Transaction, ...]] = (
    iti18.TRANSACTION,
    iti38.TRANSACTION,
    iti39.TRANSACTION,
    iti43.TRANSACTION,
)

PATHS: Final = tuple(sorted({transaction.path for transaction in TRANSACTIONS}))
"""URL paths of the SOAP endpoints."""


def at(path: str) -> tuple[Transaction, ...]:
    """The transactions of one endpoint; empty when the path is none of PATHS."""
    return tuple(transaction for transaction in TRANSACTIONS if transaction.path == path)


def dispatch(path: str, content_type: str, body: BinaryIO, services: DocumentServices, caller: Caller) -> WireResponse:
    """Answers one POST to an endpoint of PATHS. The body of the answer may be a stream and is to be read once.

    The audit record is stored when this returns. Raises KeyError for a path that is no endpoint.
    """
    transactions = at(path)
    if not transactions:
        raise KeyError(path)
    return answer(transactions, content_type, body, services, caller)


def wsdl(path: str, address: str) -> bytes:
    """The answer to `?wsdl`; `address` is the endpoint's URL as the asker reached it. Raises KeyError."""
    transactions = at(path)
    if not transactions:
        raise KeyError(path)
    return _wsdl.wsdl(transactions, address)
