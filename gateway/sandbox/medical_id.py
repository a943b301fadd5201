"""An agency for medical IDs that does not exist (広域ID): one number a person, the same on every run. For tests and demos;
its numbers begin with T, so that nobody takes one for a real one."""

import hashlib
from dataclasses import dataclass, field

from gateway.errors import InvalidParameter, Unavailable
from gateway.model.person import Demographics


@dataclass(slots=True)
class SandboxAgency:
    """ports.MedicalIdAgency in memory. `reachable = False` plays a line that is down."""

    reachable: bool = True
    _states: dict[str, str] = field(default_factory=dict)
    _current: dict[str, str] = field(default_factory=dict)
    """Person -> number in force."""

    def issue(self, person: Demographics) -> str:
        self._check()
        key = _key(person)
        if key not in self._current:
            self._current[key] = self._new(key)
        return self._current[key]

    def replace(self, number: str, reason: str) -> str:
        self._known(number, "active")
        key = next(person for person, one in self._current.items() if one == number)
        self._states[number] = "replaced"
        self._current[key] = self._new(f"{key}|{number}")
        return self._current[key]

    def suspend(self, number: str, reason: str) -> None:
        self._known(number, "active")
        self._states[number] = "suspended"

    def resume(self, number: str) -> None:
        self._known(number, "suspended")
        self._states[number] = "active"

    def _new(self, key: str) -> str:
        number = "T" + str(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))[:11].rjust(11, "0")
        self._states[number] = "active"
        return number

    def _known(self, number: str, state: str) -> None:
        self._check()
        if self._states.get(number) != state:
            raise InvalidParameter(f"the agency holds no {state} number like this")

    def _check(self) -> None:
        if not self.reachable:
            raise Unavailable("the agency for medical IDs does not answer")


def _key(person: Demographics) -> str:
    """Whom the agency takes for one person: the same names as written, birth date and sex."""
    names = sorted(f"{name.kind}:{name.family} {name.given}{name.text}" for name in person.names)
    if not names or not person.birth_date:
        raise InvalidParameter("the agency wants a name and a birth date")
    return "|".join((*names, person.birth_date, person.sex))
