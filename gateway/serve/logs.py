"""Log lines as JSON on stderr. Callers give templates, counts, times and ids of ours; never what a request carried."""

import sys

import structlog


def log_to_stderr() -> None:
    """For the whole process. stdout stays free for what a command prints."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
