"""A question counts as worked on until its last part is taken, or its reader goes away."""

from collections.abc import Generator
from typing import Any

import pytest

from gateway.services.federation.fanout import Admission, Busy
from gateway.services.federation.outcomes import Outcome
from gateway.services.federation.question import Given
from gateway.services.federation.service import Part, Parts


def parts(fails: bool = False) -> Generator[Part, None, None]:
    yield Part(Outcome("urn:oid:1", "a", "ok", 1), Given())
    if fails:
        raise KeyError("taro")
    yield Part(Outcome("urn:oid:2", "b", "nothing", 1), Given())


def admitted(admission: Admission, **more: Any) -> Parts:
    return Parts(parts(**more), admission.enter())


def test_read_to_the_end_or_closed_or_broken_it_is_over() -> None:
    admission = Admission(1)
    assert len(list(admitted(admission))) == 2
    never_read = admitted(admission)
    with pytest.raises(Busy):
        admission.enter()
    never_read.close()
    never_read.close()
    half = admitted(admission)
    next(half)
    half.close()
    assert list(half) == []
    with pytest.raises(KeyError):
        list(admitted(admission, fails=True))
    admission.enter()
    with pytest.raises(Busy):
        admission.enter()


def test_refusals_are_told_once_a_second_with_their_number() -> None:
    now = [0.0]
    admission = Admission(0, lambda: now[0])
    assert [admission.to_tell() for _ in range(4)] == [1, 0, 0, 0]
    now[0] = 1.0
    assert [admission.to_tell(), admission.to_tell()] == [4, 0]
