"""IHE transactions, one module each. The tuple below is the only list of them: routes, descriptions and documentation
are made from it."""

from collections.abc import Callable
from typing import BinaryIO, Final

from gateway.codec import soap
from gateway.fhir.transactions import Transaction
from gateway.ihe import (
    _wsdl,
    iti18,
    iti38,
    iti39,
    iti41,
    iti42,
    iti43,
    iti44,
    iti45,
    iti47,
    iti51,
    iti52,
    iti54,
    iti55,
    iti56,
    iti57,
    iti61,
    iti62,
    iti65,
    iti66,
    iti67,
    iti68,
    iti69,
    iti80,
    iti86,
    iti92,
    iti110,
    iti113,
    iti114,
    xca_provide,
    xca_query,
    xca_retrieve,
)
from gateway.ihe._dsub import DsubServices
from gateway.ihe._dsubm import DsubmServices
from gateway.ihe._gateway import PATH, GatewayServices
from gateway.ihe._mhd import MhdServices
from gateway.ihe._soap import Asker, Operation, WireResponse, answer
from gateway.ihe._v3 import V3Services
from gateway.model.caller import Caller
from gateway.services.documents import DocumentServices

TRANSACTIONS: Final[tuple[Operation, ...]] = (
    iti18.TRANSACTION,
    iti38.TRANSACTION,
    iti39.TRANSACTION,
    iti41.TRANSACTION,
    iti42.TRANSACTION,
    iti43.TRANSACTION,
    iti44.ADD,
    iti44.REVISE,
    iti44.MERGE,
    iti45.TRANSACTION,
    iti47.TRANSACTION,
    iti47.CONTINUATION,
    iti47.CANCEL,
    iti51.TRANSACTION,
    iti52.SUBSCRIBE,
    iti52.UNSUBSCRIBE,
    iti52.RENEW,
    iti54.TRANSACTION,
    iti55.NOW,
    iti55.DEFERRED,
    iti55.ASYNCHRONOUS_ANSWER,
    iti55.DEFERRED_ANSWER,
    iti56.TRANSACTION,
    iti57.TRANSACTION,
    iti61.TRANSACTION,
    iti62.TRANSACTION,
    iti69.CREATE,
    iti69.DESTROY,
    iti69.PULL,
    iti80.TRANSACTION,
    iti86.TRANSACTION,
    iti92.TRANSACTION,
    xca_provide.TRANSACTION,
    xca_query.TRANSACTION,
    xca_retrieve.TRANSACTION,
)

PATHS: Final = tuple(sorted({transaction.path for transaction in TRANSACTIONS}))
"""URL paths of the SOAP endpoints."""

INITIATING_PATH: Final = PATH
"""The initiating gateway's, which works with GatewayServices."""

RESPONDING_PATH: Final = "/xca"

GATEWAY_PATHS: Final = frozenset({RESPONDING_PATH, INITIATING_PATH, "/xcpd"})
"""Those that take a WS-Addressing ReplyTo."""

PERSON_PATHS: Final = frozenset({"/pixv3", "/pdqv3", "/xcpd"})
"""Those whose transactions work with V3Services; INITIATING_PATH works with GatewayServices, all others with
DocumentServices."""

Services = DocumentServices | V3Services | GatewayServices | DsubServices


FHIR_TYPES: Final = frozenset({"Basic", "Binary", "List", "DocumentReference", "Subscription"})
"""Resource types that the transactions on plain FHIR answer for."""


def on_fhir(services: MhdServices, notifying: DsubmServices) -> tuple[Transaction, ...]:
    """The transactions on plain FHIR (MHD, DSUBm), to be attached to the FHIR server."""
    documents = [one for module in (iti65, iti66, iti67, iti68) for one in module.transactions(services)]
    return (*documents, *(one for module in (iti110, iti113, iti114) for one in module.transactions(notifying)))


def at(path: str) -> tuple[Operation, ...]:
    """The transactions of one endpoint; empty when the path is none of PATHS."""
    return tuple(transaction for transaction in TRANSACTIONS if transaction.path == path)


def dispatch(
    path: str, content_type: str, body: BinaryIO, services: Services, caller: Caller, asker: Asker | None = None
) -> WireResponse:
    """Answers one POST to an endpoint of PATHS. `asker` knows the person in enforced mode. The body of the answer may be
    a stream and is to be read once.

    The audit record is stored when this returns. Raises KeyError for a path that is no endpoint.
    """
    transactions = at(path)
    if not transactions:
        raise KeyError(path)
    # Only gateways give answers that come later.
    may_reply: Callable[[str], bool] = soap.nowhere
    if path in GATEWAY_PATHS and not isinstance(services, DsubServices):
        may_reply = services.may_reply
    return answer(transactions, content_type, body, services, caller, may_reply, asker)


def wsdl(path: str, address: str) -> bytes:
    """The answer to `?wsdl`; `address` is the endpoint's URL as the asker reached it. Raises KeyError."""
    transactions = at(path)
    if not transactions:
        raise KeyError(path)
    return _wsdl.wsdl(transactions, address)
