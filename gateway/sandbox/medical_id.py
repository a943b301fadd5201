"""An agency for medical IDs that does not exist (広域ID): one number a person, the same on every run. For tests, demos and
trial nodes; its numbers begin with T, so that nobody takes one for a real one."""

import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.errors import InvalidParameter, Unavailable
from gateway.model.person import Demographics


@dataclass(slots=True)
class SandboxAgency:
    """ports.MedicalIdAgency. `reachable = False` plays a line that is down. With a `file` it remembers its numbers
    after a restart; no demographics stand in it. Safe to call from many threads."""

    reachable: bool = True
    file: Path | None = None
    _states: dict[str, str] = field(default_factory=dict)
    _current: dict[str, str] = field(default_factory=dict)
    """Person (a hash) -> number in force."""
    _next: dict[str, str] = field(default_factory=dict)
    """Replaced number -> the one that took its place."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.file is not None and self.file.exists():
            known = orjson.loads(self.file.read_bytes())
            self._states, self._current, self._next = known["states"], known["current"], known["next"]

    def issue(self, person: Demographics) -> str:
        self._check()
        key = _key(person)
        with self._lock:
            number = self._current.get(key)
            if number is None:
                number = self._current[key] = self._new(key)
                self._save()
            if self._states[number] != "active":
                raise InvalidParameter("the person's number is suspended")
            return number

    def replace(self, number: str, reason: str) -> str:
        with self._lock:
            self._check()
            if number in self._next:
                return self._next[number]
            self._known(number, "active")
            key = next(person for person, one in self._current.items() if one == number)
            self._states[number] = "replaced"
            self._current[key] = self._next[number] = self._new(f"{key}|{number}")
            self._save()
            return self._current[key]

    def suspend(self, number: str, reason: str) -> None:
        self._turn(number, "active", "suspended")

    def resume(self, number: str) -> None:
        self._turn(number, "suspended", "active")

    def _turn(self, number: str, before: str, after: str) -> None:
        with self._lock:
            if self._states.get(number) != after:
                self._known(number, before)
            self._check()
            self._states[number] = after
            self._save()

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

    def _save(self) -> None:
        if self.file is not None:
            new = self.file.with_suffix(".new")
            new.write_bytes(orjson.dumps({"states": self._states, "current": self._current, "next": self._next}))
            os.replace(new, self.file)


def _key(person: Demographics) -> str:
    """Whom the agency takes for one person: the same names as written, birth date and sex."""
    names = sorted(f"{name.kind}:{name.family} {name.given}{name.text}" for name in person.names)
    if not names or not person.birth_date:
        raise InvalidParameter("the agency wants a name and a birth date")
    words = "|".join((*names, person.birth_date, person.sex))
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
