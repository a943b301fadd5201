"""Counters and the histogram in Prometheus' text format."""

from gateway.serve.metrics import Metrics


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
