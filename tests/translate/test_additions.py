"""gateway/translate/additions.py: an overlay's rows beside ours."""

from typing import Any

import pytest

from gateway.errors import ConfigurationError
from gateway.translate.additions import check_addition, conflicts

OURS: dict[str, Any] = {
    "segment": "ZZZ",
    "resource": "Thing",
    "varying": ["ZZZ-1"],
    "row": [{"from": "ZZZ-1", "with": ["ZZZ-2"]}],
    "unmapped": [{"from": "ZZZ-3", "reason": "x"}, {"from": "ZZZ-1.4", "reason": "x"}],
}
HEAD = {"segment": "ZZZ", "resource": "Thing"}


def test_what_is_residue_may_be_taken_or_left_out() -> None:
    site = {**HEAD, "row": [{"from": "ZZZ-5", "with": ["ZZZ-6"]}], "unmapped": [{"from": "ZZZ-7"}, {"from": "ZZZ-1.5"}]}
    assert conflicts(OURS, site) == []
    check_addition("ZZZ-Thing", OURS, site)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({"row": [{"from": "ZZZ-1"}]}, "ZZZ-1 is read by our own rows"),
        ({"row": [{"from": "ZZZ-2"}]}, "ZZZ-2 is read by our own rows"),
        ({"row": [{"from": "ZZZ-5", "with": ["ZZZ-1"]}]}, "ZZZ-1 is read by our own rows"),
        ({"row": [{"from": "ZZZ-3"}]}, "ZZZ-3 is left out on purpose"),
        ({"unmapped": [{"from": "ZZZ-1"}]}, "ZZZ-1 is read by our own rows"),
        ({"unmapped": [{"from": "ZZZ-1.4"}]}, "ZZZ-1.4 is left out on purpose"),
        ({"row": [{"from": "ZZZ-5"}, {"from": "ZZZ-5"}]}, "ZZZ-5 stands twice"),
        ({"row": [{"from": "ZZZ-5"}], "unmapped": [{"from": "ZZZ-5"}]}, "ZZZ-5 stands twice"),
        ({"varying": []}, "varying cannot be set"),
        ({"scratch": ["x"]}, "scratch cannot be set"),
        ({"segment": "PID"}, "segment is not 'ZZZ'"),
        ({"resource": "Other"}, "resource is not 'Thing'"),
    ],
)
def test_what_contradicts_ours_is_said(site: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in conflicts(OURS, {**HEAD, **site}))
    with pytest.raises(ConfigurationError, match="ZZZ-Thing: "):
        check_addition("ZZZ-Thing", OURS, {**HEAD, **site})
