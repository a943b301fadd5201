"""Time and chance come in from outside, so that faults can be injected and goldens exist."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is an aware datetime; `monotonic` is in seconds and only for durations."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = monotonic


@dataclass(frozen=True, slots=True)
class Chance:
    """Randomness: `new_uuid` for message ids, `token` for secrets."""

    new_uuid: Callable[[], uuid.UUID] = uuid.uuid4
    token: Callable[[int], bytes] = os.urandom
