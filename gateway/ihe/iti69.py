"""ITI-69 Create and Destroy Pull Point, ITI-70 Pull Notification (ITI TF-2: 3.69, 3.70): notifications are held here until
the subscriber fetches them."""

from dataclasses import replace
from typing import Final

from gateway.codec.xml import escape
from gateway.errors import BadInput, UnknownResource
from gateway.ihe import iti53
from gateway.ihe._dsub import ACTIONS, WSA, WSNT, Answered, Asked, DsubOperation, address_of, child, fault, id_of
from gateway.model.subscription import PULL_POINT, Filter, Subscription

MOST: Final = 100


def create(asked: Asked) -> Answered:
    broker = asked.services.broker
    point = Subscription("", "dsub", "active", PULL_POINT, Filter("document"), "", "", asked.caller.node, "")
    made = broker.subscribe(point)
    address = escape(address_of(broker.base, "pullpoint", made.id))
    answer = (
        f'<wsnt:CreatePullPointResponse xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}"><wsnt:PullPoint>'
        f"<wsa:Address>{address}</wsa:Address></wsnt:PullPoint></wsnt:CreatePullPointResponse>"
    )
    return Answered(answer.encode(), object=made.id)


def destroy(asked: Asked) -> Answered:
    """Ends the subscriptions that lead to it too."""
    point = _point(asked, "UnableToDestroyPullPointFault")
    subscriptions = asked.services.broker.subscriptions
    for one in _leading(asked, point):
        subscriptions.remove(one)
    subscriptions.remove(point)
    return Answered(f'<wsnt:DestroyPullPointResponse xmlns:wsnt="{WSNT}"/>'.encode(), object=point)


def fetch(asked: Asked) -> Answered:
    """The oldest messages, at most MaximumNumber; they are given once."""
    broker, point = asked.services.broker, _point(asked, "UnableToGetMessagesFault")
    wanted = child(asked.body, "MaximumNumber")
    if wanted and not (wanted.isascii() and wanted.isdigit() and len(wanted) < 9):
        raise BadInput("MaximumNumber is no number")
    held = broker.subscriptions.held(_leading(asked, point), min(int(wanted or MOST), MOST))
    messages = b"".join(iti53.message(told, broker.base, "") for told in broker.fetched(held))
    answer = f'<wsnt:GetMessagesResponse xmlns:wsnt="{WSNT}">'.encode() + messages + b"</wsnt:GetMessagesResponse>"
    return Answered(answer, object=point)


def _point(asked: Asked, name: str) -> str:
    broker, id_ = asked.services.broker, id_of(asked.to)
    try:
        if broker.mine(id_, asked.caller).topic == PULL_POINT:
            return id_
    except UnknownResource:
        pass
    raise fault(name, "there is no such pull point", broker.now())


def _leading(asked: Asked, point: str) -> list[str]:
    subscriptions = asked.services.broker.subscriptions.all("dsub")
    return [one.id for one in subscriptions if one.address == f"pull-point:{point}"]


_W: Final = f"{{{WSNT}}}"
CREATE: Final = DsubOperation(
    "ITI-69", "ITI TF-2: 3.69", "Create Pull Point", f"{ACTIONS}CreatePullPoint/CreatePullPointRequest",
    (f"{_W}CreatePullPoint", f"{_W}CreatePullPointResponse"), ("110112", "E"), create,
)  # fmt: skip
DESTROY: Final = replace(
    CREATE, name="Destroy Pull Point", action=f"{ACTIONS}PullPoint/DestroyPullPointRequest",
    elements=(f"{_W}DestroyPullPoint", f"{_W}DestroyPullPointResponse"), answer=destroy,
)  # fmt: skip
PULL: Final = replace(
    CREATE, number="ITI-70", section="ITI TF-2: 3.70", name="Pull Notification",
    action=f"{ACTIONS}PullPoint/GetMessagesRequest", elements=(f"{_W}GetMessages", f"{_W}GetMessagesResponse"),
    event=("110106", "R"), answer=fetch,
)  # fmt: skip
