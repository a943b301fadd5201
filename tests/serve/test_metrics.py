"""Counters and the histogram in Prometheus' text format."""

from gateway.serve.metrics import Metrics, MllpMetrics


def test_counts_and_durations() -> None:
    metrics = Metrics()
    metrics.observe("/fhir/Patient", "GET", 200, 0.03)
    metrics.observe("/fhir/Patient", "GET", 200, 99.0)
    metrics.observe("/fhir/Patient", "GET", 404, 0.05)
    lines = metrics.render().splitlines()
    assert 'musubi_http_requests_total{route="/fhir/Patient",method="GET",status="200"} 2' in lines
    assert 'musubi_http_requests_total{route="/fhir/Patient",method="GET",status="404"} 1' in lines
    buckets = {line.split('le="')[1].split('"')[0]: int(line.rsplit(" ", 1)[1]) for line in lines if "_bucket" in line}
    assert (buckets["0.025"], buckets["0.05"], buckets["10.0"], buckets["+Inf"]) == (0, 2, 2, 3)
    assert list(buckets.values()) == sorted(buckets.values())
    assert 'musubi_http_request_duration_seconds_sum{route="/fhir/Patient"} 99.080000' in lines
    assert 'musubi_http_request_duration_seconds_count{route="/fhir/Patient"} 3' in lines


def test_nothing_asked_yet() -> None:
    assert all(line.startswith("#") for line in Metrics().render().splitlines())


def test_messages_over_mllp() -> None:
    metrics = MllpMetrics()
    metrics.connections(3)
    metrics.refused()
    for size in (100, 50):
        metrics.received(size)
    metrics.answered("OUL^R22", "AA", 0.03, ("205",))
    metrics.skipped(7)
    metrics.ended("idle")
    lines = metrics.render().splitlines()
    for line in (
        "musubi_mllp_connections 3",
        "musubi_mllp_connections_refused_total 1",
        "musubi_mllp_received_bytes_total 150",
        "musubi_mllp_skipped_bytes_total 7",
        "musubi_mllp_messages_waiting 1",
        'musubi_mllp_connections_ended_total{reason="idle"} 1',
        'musubi_mllp_messages_total{type="OUL^R22",answer="AA"} 1',
        'musubi_mllp_problems_total{code="205"} 1',
        'musubi_mllp_message_duration_seconds_bucket{le="0.025"} 0',
        'musubi_mllp_message_duration_seconds_bucket{le="0.05"} 1',
        "musubi_mllp_message_duration_seconds_sum 0.030000",
        "musubi_mllp_message_duration_seconds_count 1",
    ):
        assert line in lines
    names = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == sum(line.startswith("# HELP") for line in lines)
