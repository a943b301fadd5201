"""Escapes, system names and the limits of one value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.identity import Authority
from gateway.model.resource import StringClause, TokenClause
from gateway.services.search.parameters import PARAMETERS
from gateway.services.search.values import SearchRules, clause, split, system_aliases

CODE, FAMILY = PARAMETERS["Observation"]["code"], PARAMETERS["Patient"]["family"]
RULES = SearchRules()


def escaped(text: str) -> str:
    return "".join("\\" + letter if letter in ",|$\\" else letter for letter in text)


def test_split_leaves_escapes_in_the_parts() -> None:
    assert split(r"a\,b,c", ",") == [r"a\,b", "c"]
    assert split(r"a\\,b", ",") == [r"a\\", "b"]
    assert split("", ",") == [""] and split(",", ",") == ["", ""]


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_whatever_is_escaped_comes_back(texts: list[str]) -> None:
    joined = ",".join(map(escaped, texts))
    assert clause(CODE, "", joined, RULES) == TokenClause("code", tuple((None, text) for text in texts))
    assert clause(FAMILY, "exact", joined, RULES) == StringClause("family", tuple(texts), "exact")


def test_who_does_not_say_is_active() -> None:
    active = PARAMETERS["Patient"]["active"]
    assert clause(active, "", "true", RULES) == TokenClause("active", ((None, "false"),), True)
    assert clause(active, "not", "true", RULES) == TokenClause("active", ((None, "false"),), False)
    assert clause(active, "", "false", RULES) == TokenClause("active", ((None, "false"),), False)


def test_a_postal_code_has_a_hyphen_or_none() -> None:
    code = PARAMETERS["Patient"]["address-postalcode"]
    both = StringClause("address-postalcode", ("1000001", "100-0001"), "starts")
    assert clause(code, "", "100-0001", RULES) == clause(code, "", "1000001", RULES) == both
    assert clause(code, "", "100", RULES) == StringClause("address-postalcode", ("100",), "starts")
    assert clause(code, "exact", "100-0001", RULES) == StringClause("address-postalcode", ("100-0001",), "exact")


def test_aliases_are_groups() -> None:
    """HOT9 has two OIDs and two addresses, one of JP Core 1.1.2: each of the four names finds all four."""
    aliases = system_aliases()
    hot9 = aliases["http://medis.or.jp/CodeSystem/master-HOT9"]
    assert len(hot9) == 4 and all(aliases[name] == hot9 for name in hot9)


def test_an_authority_is_its_oid_and_its_patient_number_system() -> None:
    aliases = system_aliases((Authority("1.2.3", institution="1311234567"), Authority("1.2.4")))
    both = ("urn:oid:1.2.3", "urn:oid:1.2.392.100495.20.3.51.11311234567")
    assert set(aliases["urn:oid:1.2.3"]) == set(both) == set(aliases[both[1]])
    assert "urn:oid:1.2.4" not in aliases


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("03-1234-5678", TokenClause("phone", ((None, "0312345678"), (None, "+81312345678"), (None, "+810312345678")))),
        ("phone|０３（１２３４）５６７８", TokenClause("phone", ((None, "0312345678"), (None, "+81312345678"), (None, "+810312345678")))),
        ("+81 3 1234 5678", TokenClause("phone", ((None, "+81312345678"), (None, "0312345678"), (None, "+810312345678")))),
        ("fax|03-1234-5678", TokenClause("telecom", (("fax", "03-1234-5678"),))),
        ("a@example.jp", TokenClause("telecom", ((None, "a@example.jp"),))),
        ("03-1234-5678,a@example.jp", TokenClause("telecom", ((None, "03-1234-5678"), (None, "a@example.jp")))),
        ("email|", TokenClause("telecom", (("email", None),))),
    ],
)  # fmt: skip
def test_a_telephone_number_is_compared_by_its_digits(text: str, expected: TokenClause) -> None:
    assert clause(PARAMETERS["Patient"]["telecom"], "", text, RULES) == expected
