"""Counts and durations of requests in the Prometheus text format 0.0.4. Labels are route templates, never addresses."""

import threading
from bisect import bisect_left
from collections import Counter

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the duration histogram, in seconds."""


class Metrics:
    """Safe to call from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._durations: dict[str, list[int]] = {}
        self._sums_s: Counter[str] = Counter()

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        with self._lock:
            self._requests[route, method, status] += 1
            self._durations.setdefault(route, [0] * (len(BUCKETS_S) + 1))[bisect_left(BUCKETS_S, seconds)] += 1
            self._sums_s[route] += seconds  # type: ignore[assignment]

    def render(self) -> str:
        with self._lock:
            requests = sorted(self._requests.items())
            durations = {route: list(counts) for route, counts in sorted(self._durations.items())}
            sums_s = dict(self._sums_s)
        lines = [
            "# HELP musubi_http_requests_total Requests answered.",
            "# TYPE musubi_http_requests_total counter",
        ]
        lines += [
            f'musubi_http_requests_total{{route="{route}",method="{method}",status="{status}"}} {count}'
            for (route, method, status), count in requests
        ]
        lines += [
            "# HELP musubi_http_request_duration_seconds Time until the answer was ready to be sent.",
            "# TYPE musubi_http_request_duration_seconds histogram",
        ]
        for route, counts in durations.items():
            seen = 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
                seen += count
                lines.append(f'musubi_http_request_duration_seconds_bucket{{route="{route}",le="{bound}"}} {seen}')
            lines.append(f'musubi_http_request_duration_seconds_sum{{route="{route}"}} {sums_s[route]:.6f}')
            lines.append(f'musubi_http_request_duration_seconds_count{{route="{route}"}} {seen}')
        return "\n".join(lines) + "\n"
