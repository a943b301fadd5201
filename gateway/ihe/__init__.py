"""IHE transactions, one module each. The tuple below is the only list of them: routes, descriptions and documentation
are made from it."""

from typing import BinaryIO, Final

from gateway.codec import soap
from gateway.ihe import (
    _wsdl,
    iti18,
    iti38,
    iti39,
    iti43,
    iti44,
    iti45,
    iti47,
    iti55,
    iti56,
    xca_query,
    xca_retrieve,
)
from gateway.ihe._gateway import PATH, GatewayServices
from gateway.ihe._soap import Operation, WireResponse, answer
from gateway.ihe._v3 import V3Services
from gateway.model.caller import Caller
from gateway.services.documents import DocumentServices

TRANSACTIONS: Final[tuple[Operation, ...]] = (
    iti18.TRANSACTION,
    iti38.TRANSACTION,
    iti39.TRANSACTION,
    iti43.TRANSACTION,
    iti44.ADD,
    iti44.REVISE,
    iti44.MERGE,
    iti45.TRANSACTION,
    iti47.TRANSACTION,
    iti47.CONTINUATION,
    iti47.CANCEL,
    iti55.NOW,
    iti55.DEFERRED,
    iti55.ASYNCHRONOUS_ANSWER,
    iti55.DEFERRED_ANSWER,
    iti56.TRANSACTION,
    xca_query.TRANSACTION,
    xca_retrieve.TRANSACTION,
)

PATHS: Final = tuple(sorted({transaction.path for transaction in TRANSACTIONS}))
"""URL paths of the SOAP endpoints."""

INITIATING_PATH: Final = PATH
"""The initiating gateway's, which works with GatewayServices."""

PERSON_PATHS: Final = frozenset({"/pixv3", "/pdqv3", "/xcpd"})
"""Those whose transactions work with V3Services; INITIATING_PATH works with GatewayServices, all others with
DocumentServices."""

Services = DocumentServices | V3Services | GatewayServices


def at(path: str) -> tuple[Operation, ...]:
    """The transactions of one endpoint; empty when the path is none of PATHS."""
    return tuple(transaction for transaction in TRANSACTIONS if transaction.path == path)


def dispatch(path: str, content_type: str, body: BinaryIO, services: Services, caller: Caller) -> WireResponse:
    """Answers one POST to an endpoint of PATHS. The body of the answer may be a stream and is to be read once.

    The audit record is stored when this returns. Raises KeyError for a path that is no endpoint.
    """
    transactions = at(path)
    if not transactions:
        raise KeyError(path)
    # Only gateways give answers that come later.
    later = isinstance(services, (V3Services, GatewayServices)) and path in ("/xcpd", INITIATING_PATH)
    may_reply = services.may_reply if later and not isinstance(services, DocumentServices) else soap.nowhere
    return answer(transactions, content_type, body, services, caller, may_reply)


def wsdl(path: str, address: str) -> bytes:
    """The answer to `?wsdl`; `address` is the endpoint's URL as the asker reached it. Raises KeyError."""
    transactions = at(path)
    if not transactions:
        raise KeyError(path)
    return _wsdl.wsdl(transactions, address)
