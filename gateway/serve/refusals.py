"""How a request is turned away before any handler sees it: headers, SOAP faults and the words of the audit record."""

from typing import Final

from gateway.codec import soap
from gateway.errors import Forbidden, GatewayError, TooManyRequests, Unauthenticated, Unavailable, UnknownNode

REFUSALS: Final = (Unauthenticated, Forbidden, TooManyRequests, Unavailable)


def challenge(error: str) -> str:
    """WWW-Authenticate (RFC 6750 3): no word when no token came at all."""
    return 'Bearer realm="musubi"' + (f', error="{error}"' if error else "")


def headers_of(error: Exception) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": challenge(error.error)}
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after_s)}
    return {}


def soap_fault(error: GatewayError, message_id: str) -> bytes:
    """A fault for a message whose body was not read."""
    if isinstance(error, TooManyRequests | Unavailable):
        return soap.fault(soap.SoapFault("Receiver", str(error)), message_id)
    return soap.fault(soap.SoapFault("Sender", str(error), subcodes=("wsse:FailedAuthentication",)), message_id)


def event_of(error: Exception | None, transaction: str) -> tuple[str, str, str]:
    """EventID, EventTypeCode and detail (DICOM PS3.16 CID 400, 401): 110113/110126 node authentication, 110114 user
    authentication, otherwise a query that failed."""
    if isinstance(error, Unauthenticated):
        return "110114", "110122", error.detail
    if isinstance(error, UnknownNode | TooManyRequests):
        return "110113", "110126", str(error)
    return "110112", transaction, ""
