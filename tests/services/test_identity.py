"""Who is linked with whom, as a pure function."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.identity import Authority, Facts, PatientId, PersonKey
from gateway.services.identity import contradict, enterprise_id, link, only_shared, shared_authorities

M1, M2 = PatientId("M1", "9.3"), PatientId("M2", "9.3")
TOKYO, OSAKA, NAGASAKI = PatientId("1", "9.1"), PatientId("2", "9.2"), PatientId("3", "9.4")


def facts(*shared: PatientId, births: tuple[str, ...] = ("19500101",), sexes: tuple[str, ...] = ("M",)) -> Facts:
    return Facts(frozenset(shared), frozenset(births), frozenset(sexes))


def clusters(people: dict[PatientId, Facts]) -> list[set[str]]:
    return [{own.value for own in cluster} for cluster in link(people).clusters]


def test_a_shared_id_links() -> None:
    assert clusters({TOKYO: facts(M1), OSAKA: facts(M1), NAGASAKI: facts(M2)}) == [{"1", "2"}, {"3"}]


def test_links_are_transitive() -> None:
    assert clusters({TOKYO: facts(M1), OSAKA: facts(M1, M2), NAGASAKI: facts(M2)}) == [{"1", "2", "3"}]


def test_another_birth_date_or_sex_is_a_conflict_and_no_link() -> None:
    for other in (facts(M1, births=("19500102",)), facts(M1, sexes=("F",))):
        linked = link({TOKYO: facts(M1), OSAKA: other})
        assert len(linked.clusters) == 2
        assert linked.conflicts == 1


def test_what_is_not_said_contradicts_nothing() -> None:
    assert not contradict(facts(births=(), sexes=()), facts())
    assert not contradict(facts(sexes=("U",)), facts(sexes=("F",)))
    assert not contradict(facts(births=("1950",)), facts())
    assert not contradict(facts(births=("1950-01-01",)), facts())
    assert contradict(facts(births=("1951",)), facts())


def test_a_vague_third_does_not_tie_two_who_contradict() -> None:
    vague = facts(M1, M2, births=(), sexes=())
    people = {TOKYO: facts(M1), OSAKA: vague, NAGASAKI: facts(M2, births=("19991231",))}
    assert clusters(people) == [{"1"}, {"2"}, {"3"}]


def test_two_who_agree_in_full_stay_linked_beside_a_contradiction() -> None:
    fourth = PatientId("4", "9.5")
    vague = facts(M1, births=(), sexes=())
    people = {TOKYO: facts(M1), OSAKA: facts(M1), NAGASAKI: vague, fourth: facts(M1, births=("19991231",))}
    assert {"1", "2"} in clusters(people)


PEOPLE = st.dictionaries(
    st.builds(PatientId, st.sampled_from("123456"), st.just("9.1")),
    st.builds(
        Facts,
        st.frozensets(st.sampled_from([M1, M2, PatientId("M3", "9.3")]), max_size=2),
        st.frozensets(st.sampled_from(["1950", "19500101", "19600101"]), max_size=1),
        st.frozensets(st.sampled_from(["M", "F", "U"]), max_size=1),
    ),
    max_size=5,
)


@given(PEOPLE)
def test_the_order_of_people_does_not_matter(people: dict[PatientId, Facts]) -> None:
    found = {link(dict(order)) for order in permutations(people.items())}
    assert len(found) == 1


@given(PEOPLE)
def test_everybody_is_in_one_cluster_and_no_cluster_contradicts_itself(people: dict[PatientId, Facts]) -> None:
    found = link(people).clusters
    assert sorted(own.value for cluster in found for own in cluster) == sorted(own.value for own in people)
    for cluster in found:
        assert not any(contradict(people[a], people[b]) for a in cluster for b in cluster)


def test_the_enterprise_id_is_that_of_the_smallest_member() -> None:
    alone = {enterprise_id("9.9", [own]) for own in (TOKYO, OSAKA)}
    assert enterprise_id("9.9", [TOKYO, OSAKA]) == enterprise_id("9.9", [OSAKA, TOKYO]) == min(alone)
    assert enterprise_id("9.8", [TOKYO]) not in alone


def test_only_ids_of_shared_authorities_may_link() -> None:
    authorities = [Authority("9.3", kind="medical-id"), Authority("9.7", kind="insurer"), Authority("9.2")]
    shared = shared_authorities(authorities)
    assert shared == {"9.3", "9.7"}
    person = PersonKey((TOKYO, OSAKA, M1, PatientId("", "9.3")), "19500101", "M")
    assert only_shared(person, shared).ids == (TOKYO, M1)


def test_a_card_number_without_branch_is_a_familys_and_links_nobody() -> None:
    insurer = Authority("1.2.3.9", "INSURER", kind="insurer")
    own = PatientId("1", "1.2.3.1")
    family, person = PatientId("12345:あ:187:", insurer.oid), PatientId("12345:あ:187:05", insurer.oid)
    kept = only_shared(PersonKey((own, family, person)), frozenset({insurer.oid}), {insurer.oid: insurer})
    assert kept.ids == (own, PatientId("00012345:あ:187:05", insurer.oid))
