"""python -m tests.bench.stub_process HOME DELAY_S DOCUMENTS: one community as a process of its own, for the benchmarks."""

import sys
import time

from gateway.sandbox.stub_community import serve, well
from tests.federation_parts import stub


def main() -> None:
    home, delay_s, documents = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    with serve(well(stub(home, documents), delay_s)) as url:
        print(url, flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    main()
