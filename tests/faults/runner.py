"""`python -m tests.faults.runner` = `musubi` with small batches and small blobs in files, so that a kill at any moment
meets every kind of step. Arguments as for `musubi`."""

from gateway.cli import main
from gateway.codec import packing
from gateway.services.ingest import run, workers

if __name__ == "__main__":
    run.BATCH_FILES = 6  # type: ignore[misc]
    workers.ALONE = 10**9  # type: ignore[misc]
    packing.SMALL = 1500  # type: ignore[misc]
    main()
