"""Counts and durations of requests and messages in the Prometheus text format 0.0.4. Labels are route templates, never addresses."""

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
            name, labels = "musubi_http_request_duration_seconds", f'route="{route}",'
            lines += _histogram(name, labels, counts, sums_s[route])
        return "\n".join(lines) + "\n"


class MllpMetrics:
    """Counts of the MLLP listener. Labels are kinds of messages (MSH-9 of a closed set) and answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: Counter[tuple[str, str]] = Counter()
        self._ended: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._sum_s = 0.0
        self._counts = {"connections": 0, "refused": 0, "bytes": 0, "skipped": 0, "waiting": 0}

    def connections(self, now: int) -> None:
        with self._lock:
            self._counts["connections"] = now

    def refused(self) -> None:
        """A connection above the limits."""
        with self._lock:
            self._counts["refused"] += 1

    def ended(self, reason: str) -> None:
        """Why we ended a connection, or lost it: idle, slow, cut, unread."""
        with self._lock:
            self._ended[reason] += 1

    def skipped(self, count: int) -> None:
        """Bytes outside of any block."""
        with self._lock:
            self._counts["skipped"] += count

    def received(self, size: int) -> None:
        with self._lock:
            self._counts["bytes"] += size
            self._counts["waiting"] += 1

    def answered(self, kind: str, answer: str, seconds: float, problems: tuple[str, ...] = ()) -> None:
        """`problems`: ERR-3 of what was wrong or odd (HL7 v2.5 table 0357)."""
        with self._lock:
            self._messages[kind, answer] += 1
            self._problems.update(problems)
            self._counts["waiting"] -= 1
            self._buckets[bisect_left(BUCKETS_S, seconds)] += 1
            self._sum_s += seconds

    def render(self) -> str:
        with self._lock:
            counts, buckets, sum_s = dict(self._counts), list(self._buckets), self._sum_s
            messages, ended = sorted(self._messages.items()), sorted(self._ended.items())
            problems = sorted(self._problems.items())
        lines = []
        for name, type_, words, value in (
            ("connections", "gauge", "Open connections.", counts["connections"]),
            ("connections_refused_total", "counter", "Connections above the limits.", counts["refused"]),
            ("received_bytes_total", "counter", "Bytes of the blocks that were read.", counts["bytes"]),
            ("skipped_bytes_total", "counter", "Bytes outside of any block.", counts["skipped"]),
            ("messages_waiting", "gauge", "Messages read and not answered yet.", counts["waiting"]),
        ):
            lines += [f"# HELP musubi_mllp_{name} {words}", f"# TYPE musubi_mllp_{name} {type_}"]
            lines.append(f"musubi_mllp_{name} {value}")
        lines += [
            "# HELP musubi_mllp_connections_ended_total Connections that ended for a reason of ours, or in a message.",
            "# TYPE musubi_mllp_connections_ended_total counter",
        ]
        lines += [f'musubi_mllp_connections_ended_total{{reason="{reason}"}} {count}' for reason, count in ended]
        lines += [
            "# HELP musubi_mllp_messages_total Messages by MSH-9 and answer.",
            "# TYPE musubi_mllp_messages_total counter",
        ]
        lines += [
            f'musubi_mllp_messages_total{{type="{kind}",answer="{answer}"}} {count}'
            for (kind, answer), count in messages
        ]
        lines += [
            "# HELP musubi_mllp_problems_total What senders were told, by ERR-3 (HL7 table 0357), warnings included.",
            "# TYPE musubi_mllp_problems_total counter",
        ]
        lines += [f'musubi_mllp_problems_total{{code="{code}"}} {count}' for code, count in problems]
        lines += [
            "# HELP musubi_mllp_message_duration_seconds From the last byte of a message to its answer.",
            "# TYPE musubi_mllp_message_duration_seconds histogram",
        ]
        lines += _histogram("musubi_mllp_message_duration_seconds", "", buckets, sum_s)
        return "\n".join(lines) + "\n"


def _histogram(name: str, labels: str, buckets: list[int], sum_s: float) -> list[str]:
    """Lines of one histogram; `labels` ends in a comma when there are any."""
    lines, seen = [], 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), buckets, strict=True):
        seen += count
        lines.append(f'{name}_bucket{{{labels}le="{bound}"}} {seen}')
    own = f"{{{labels.rstrip(',')}}}" if labels else ""
    return [*lines, f"{name}_sum{own} {sum_s:.6f}", f"{name}_count{own} {seen}"]
