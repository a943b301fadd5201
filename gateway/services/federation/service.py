"""A federated question from beginning to end: whom to ask, all of them at once, what each gave, as it comes."""

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from gateway.errors import InvalidParameter, Unavailable
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Clock
from gateway.ports import AuditLog
from gateway.services.federation.discovery import Discovery, Memory
from gateway.services.federation.fanout import Admission, Reply, Task, ask_all
from gateway.services.federation.outcomes import NoAnswer, Outcome, word_of
from gateway.services.federation.question import Community, Given, Question, within

LONGEST_S: Final = 300.0
"""Seconds a caller may let a question last."""


class Part(NamedTuple):
    """One community's part of the answer."""

    outcome: Outcome
    given: Given


class Parts:
    """The parts of one answer, as they come. Whoever stops before the last one closes it: until then the question counts
    as one that is worked on."""

    def __init__(self, parts: Generator[Part, None, None], leave: Callable[[], None]) -> None:
        self._parts, self._leave, self._lock = parts, leave, threading.Lock()
        self._over = False

    def __iter__(self) -> "Parts":
        return self

    def __next__(self) -> Part:
        try:
            return next(self._parts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
        self._parts.close()
        self._leave()


@dataclass(frozen=True, slots=True)
class Federation:
    """Put together by gateway/ihe/communities.py. Safe to call from many threads."""

    home: str
    own: Callable[[Scope], Community]
    """This node as one more community, as far as a caller may see it."""
    peers: tuple[Community, ...]
    discovery: Discovery
    audit: AuditLog
    clock: Clock
    admission: Admission
    deadline_s: float

    def begin(
        self,
        question: Question,
        caller: Caller,
        scope: Scope,
        *,
        deadline_s: float | None = None,
        communities: Sequence[str] | None = None,
    ) -> Parts:
        """Asks; the parts come as the communities answer, each community once. `deadline_s` shortens the configured one
        or, where the caller may wait longer, stretches it; `communities`: homeCommunityIds or names, None for all.

        Raises Busy and InvalidParameter before anybody is asked.
        """
        until = self.clock.monotonic() + min(deadline_s or self.deadline_s, LONGEST_S)
        chosen = _chosen([self.own(scope), *self.peers], communities)
        leave = self.admission.enter()
        try:
            whom = self.discovery.whom(question.patient, scope)
            memory = self.discovery.memory(whom)
            tasks = [Task(one.channel, partial(self._ask, one.by(caller), question, memory)) for one in chosen]
        except BaseException:
            leave()
            raise
        return Parts(self._parts(chosen, tasks, until, scope), leave)

    def _parts(
        self, chosen: list[Community], tasks: list[Task[Given]], until: float, scope: Scope
    ) -> Generator[Part, None, None]:
        for reply in ask_all(tasks, until, self.clock):
            one = chosen[reply.place]
            part = self._part(one, reply)
            # A peer goes by the caller's role; a token may show less than the role does.
            yield part if one.id == self.home else part._replace(given=within(part.given, scope))

    def _ask(self, one: Community, question: Question, memory: Memory, left_s: float) -> Given:
        if one.id == self.home:
            return one.ask(question, memory.whom, question.patient, left_s)
        return self.discovery.asked(
            one.id, memory, one.discover, lambda id_, left: one.ask(question, memory.whom, id_, left), left_s
        )

    def _part(self, one: Community, reply: Reply[Given]) -> Part:
        error = reply.error
        if error is not None:
            transient = isinstance(error, (Unavailable, NoAnswer))
            return Part(Outcome(one.id, one.name, word_of(error), reply.ms, transient), Given())
        given = reply.value or Given()
        if given.alarms:
            one.channel.alarm(given.alarms)
        word = "ok" if given.resources else "nothing"
        return Part(Outcome(one.id, one.name, word, reply.ms, alarms=given.alarms), given)  # type: ignore[arg-type]

    def record(
        self, question: Question, caller: Caller, outcomes: Sequence[Outcome], transaction: str = "federated-query"
    ) -> None:
        """The audit record of a question (DICOM 110112); an answer is given after it is stored."""
        whole = all(one.answered and not one.alarms for one in outcomes)
        self.audit.record(
            AuditRecord(
                event="110112",
                transaction=transaction,
                action="E",
                outcome=0 if whole else 4,
                actor=caller.user or caller.node,
                address=caller.address,
                patient=str(question.patient),
                object="federated " + " ".join(dict.fromkeys(one.type for one in question.wanted)),
                detail=" ".join(f"{one.community}={one.outcome}" for one in outcomes),
            ).by(caller)
        )


def _chosen(communities: list[Community], wanted: Sequence[str] | None) -> list[Community]:
    if wanted is None:
        return communities
    missing = [word for word in wanted if not any(word in (one.id, one.name) for one in communities)]
    if missing:
        raise InvalidParameter(f"no such community: {', '.join(missing)}")
    return [one for one in communities if one.id in wanted or one.name in wanted]
