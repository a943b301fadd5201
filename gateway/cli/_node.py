"""Asking the running node of this configuration: what `query` and `person` share."""

from typing import Any

from gateway.cli._caller import Door
from gateway.errors import BadInput, Unavailable


def ask_node(
    address: str,
    path: str,
    limit_s: float,
    body: dict[str, Any] | None = None,
    parameters: dict[str, str] | None = None,
    door: Door | None = None,
) -> dict[str, Any]:
    """POST with a body, GET without; `door`: in whose name. Raises Unavailable when the node does not answer, BadInput when it refuses."""
    import requests

    method = "GET" if body is None else "POST"
    try:
        with door.session if door else requests.Session() as session:
            session.trust_env = False  # the node is on this machine: no proxy stands between
            named = door.headers if door else {}
            url = f"{address}{path}"
            response = session.request(method, url, json=body, params=parameters, headers=named, timeout=limit_s)
        answer: dict[str, Any] = response.json()
    except (requests.ConnectionError, requests.Timeout):
        raise Unavailable(f"no node answers at {address}; start it with musubi serve") from None
    except ValueError:
        raise Unavailable(f"what answers at {address} is no Musubi node") from None
    if response.status_code == 503:
        raise Unavailable(str(answer.get("text", "the node cannot do that now")))
    if not response.ok:
        raise BadInput(f"the node refused: {answer.get('text', response.status_code)}")
    return answer
