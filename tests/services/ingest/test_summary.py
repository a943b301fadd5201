from gateway.model.ingest import STATES, Applied, FileOutcome, Reject
from gateway.services.ingest.summary import Summary


def test_the_states_add_up_to_the_files_seen() -> None:
    summary = Summary()
    for state in STATES:
        summary.count(state)
    assert summary.seen == 6
    assert summary.changed == 3
    said = summary.as_dict()
    assert said["seen"] == sum(said[state] for state in STATES)


def test_issues_of_files_and_of_the_store_are_counted_together() -> None:
    summary = Summary()
    summary.count(
        "rejected", FileOutcome(b"f", 1, 1, rejects=(Reject("", 0, "fatal", "not-hl7", "x"),), issues={"a": 2})
    )
    summary.add(Applied(issues={"a": 1, "b": 1}, resources={"Patient": 1}))
    assert summary.issues == {"a": 3, "b": 1}
    assert summary.reject_codes == {"not-hl7": 1}
    assert summary.as_dict()["resources"] == {"Patient": 1}
