"""HL7 v2 over MLLP: one block in, its answers out. Which transaction takes a message is decided here, by MSH-9.

The head of a message is checked before its content: what a receiver cannot work with at all is AR (HL7 v2.5 2.9.2.1).
"""

import re
from functools import cache
from typing import Final

from gateway.codec.charset import split_messages
from gateway.codec.head import Head, read_head
from gateway.codec.mllp import Block
from gateway.errors import BadInput, GatewayError, LimitExceeded, codes_for
from gateway.ihe import clinical, iti8, iti9, iti21, iti22, iti30, iti64
from gateway.ihe._ack import acknowledgements
from gateway.ihe._transaction import Replies, Response, V2Services, V2Transaction, caller_of
from gateway.services.feed import Problem, Receipt, Refused
from gateway.translate.rules import table

__all__ = ["TRANSACTIONS", "Replies", "V2Services", "V2Transaction", "answer", "failed"]

_CONTROL_ID: Final = re.compile(r"[^\x00-\x1f\x7f\ufffd]{1,199}")
_ASKED_INSIDE: Final = frozenset({iti9.NUMBER, iti21.NUMBER, iti22.NUMBER})
"""Queries ask policy for their scope themselves; of the others it is asked whether they may be done at all."""
_SILENT: Final = (b"", b"\x06", b"\x15")
"""Blocks without a message: keep-alive of some senders, and commits of MLLP Release 2, which answer our answers."""


TRANSACTIONS: Final[tuple[V2Transaction, ...]] = (
    iti8.TRANSACTION,
    iti30.TRANSACTION,
    iti64.TRANSACTION,
    iti9.TRANSACTION,
    iti21.TRANSACTION,
    iti22.TRANSACTION,
    iti21.CANCELLATION,
    V2Transaction("clinical", clinical.message_types, clinical.takes, clinical.handle),
)
"""Asked in this order."""


def answer(block: Block, address: str, services: V2Services) -> Replies:
    """Works on one block. Raises nothing that a message can cause; errors of ours are for the listener (`failed`)."""
    if block.problem == "too-large":
        return _no_message(
            block, LimitExceeded("the message is larger than is taken here"), address, services, close=True
        )
    if block.problem == "no-end":
        text = "the block had no end (0x1C 0x0D) when the next one began; nothing of it was stored"
        return _no_message(block, BadInput(text), address, services)
    if block.data.strip(b"\r\n\x00 \t\x0b\x1c") in _SILENT:
        return Replies([])
    replies = [_message(message, address, services) for _, message in split_messages(block.data)]
    if len(replies) == 1:
        return replies[0]
    # LENIENT: a batch (FHS, BHS) or several messages in a block are several messages, each with its own answer.
    answers = [one for reply in replies for one in reply.messages]
    problems = tuple(code for reply in replies for code in reply.problems)
    return Replies(answers, any(reply.close for reply in replies), replies[0].kind, replies[0].answer, problems)


def failed(block: Block, error: Exception, services: V2Services) -> Replies:
    """The answer when the program failed: AE 207, so that the sender keeps the message and sends it again."""
    try:
        head = read_head(block.data)
    except BadInput:
        return Replies([], close=True)
    receipt = Receipt("AE", services.feed.clock.now(), (Problem("207", "", _words(error)),))
    return _replies(head, receipt)


def _message(message: bytes, address: str, services: V2Services) -> Replies:
    try:
        head = read_head(message)
    except BadInput:
        return Replies([], close=True)  # nothing here can be answered, and its sender is no HL7 sender
    if head.type == "ACK":
        return Replies([])  # an answer is never answered
    now = services.feed.clock.now()
    try:
        _check(head, services.processing_ids)
        transaction = next((one for one in _of(services) if one.takes(head)), None)
        if transaction is None:
            raise _unsupported(head, services)
        if not services.may(transaction.name):
            raise Refused("AR", Problem("207", "", f"this node may not do {transaction.name} here"))
    except Refused as error:
        services.feed.refuse(head, error.problem, address)
        return _replies(head, Receipt(error.answer, now, (error.problem,)))
    try:
        if transaction.name not in _ASKED_INSIDE:
            services.scope_of(caller_of(head, address, services.node), transaction.name)
        receipt = transaction.handle(message, head, address, services)
    except Refused as error:
        receipt = Receipt(error.answer, now, (error.problem,))
    except GatewayError as error:
        codes = codes_for(error)
        receipt = Receipt("AR" if codes.msa1 == "AR" else "AE", now, (Problem(codes.err3, "", _words(error)),))
    if isinstance(receipt, Response):
        codes_said = tuple(problem.code for problem in receipt.problems)
        return Replies(receipt.messages, False, _kind(head), receipt.answer, codes_said)
    return _replies(head, receipt)


def _of(services: V2Services) -> tuple[V2Transaction, ...]:
    """What this node takes: without the identity index, clinical messages alone."""
    return TRANSACTIONS if services.persons is not None else TRANSACTIONS[-1:]


@cache
def _events(transactions: tuple[V2Transaction, ...]) -> frozenset[str]:
    return frozenset().union(*(one.events() for one in transactions))


def _replies(head: Head, receipt: Receipt, *, close: bool = False) -> Replies:
    said = "again" if receipt.again else receipt.answer
    codes = tuple(problem.code for problem in receipt.problems)
    return Replies(acknowledgements(head, receipt), close, _kind(head), said, codes)


def _check(head: Head, processing_ids: frozenset[str]) -> None:
    """Raises Refused. First what is missing, then what is not supported."""
    if not head.readable:
        raise Refused("AR", Problem("102", "MSH^1^2", "MSH-1 and MSH-2 are not the delimiters of a message"))
    if not head.control_id:
        raise Refused("AE", Problem("101", "MSH^1^10", "MSH-10 (message control id) is required"))
    if not _CONTROL_ID.fullmatch(head.control_id):
        raise Refused(
            "AE", Problem("102", "MSH^1^10", "MSH-10 has more than 199 characters, or some that cannot be printed")
        )
    for number, value in ((9, head.type), (11, head.field(11, 1)), (12, head.version)):
        if not value:
            raise Refused("AR", Problem("101", f"MSH^1^{number}", f"MSH-{number} is required"))
    if head.version not in table("hl7-versions"):
        raise Refused("AR", Problem("203", "MSH^1^12", f"versions taken here: {', '.join(table('hl7-versions'))}"))
    if head.field(11, 1) not in processing_ids:
        raise Refused(
            "AR", Problem("202", "MSH^1^11", f"processing ids taken here: {', '.join(sorted(processing_ids))}")
        )


def _unsupported(head: Head, services: V2Services) -> Refused:
    types = {name.partition("^")[0] for name in _events(_of(services))}
    if head.type in types:
        return Refused("AR", Problem("201", "MSH^1^9^1^2", "this event of the message type is not taken here"))
    return Refused("AR", Problem("200", "MSH^1^9^1^1", "this message type is not taken here"))


def _kind(head: Head) -> str:
    name = f"{head.type}^{head.trigger}"
    return name if name in _events(TRANSACTIONS) else "(other)"


def _no_message(block: Block, error: BadInput, address: str, services: V2Services, *, close: bool = False) -> Replies:
    """The answer to a block that is no whole message; none when not even its MSH can be read."""
    codes = codes_for(error)
    problem = Problem(codes.err3, "", _words(error))
    try:
        head = read_head(block.data)
    except BadInput:
        services.feed.refuse(None, problem, address)
        return Replies([], close=True)
    services.feed.refuse(head, problem, address)
    receipt = Receipt("AR" if codes.msa1 == "AR" else "AE", services.feed.clock.now(), (problem,))
    return _replies(head, receipt, close=close)


def _words(error: Exception) -> str:
    """Our own errors speak for people and hold no patient data; of foreign ones nothing may be said."""
    return str(error) if isinstance(error, GatewayError) else "an error of this program; send the message again"
