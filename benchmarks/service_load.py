"""Question: how many requests a second does `feint serve` answer, how long do they take, and does its memory stay flat?

Command: `python benchmarks/service_load.py RUN IMAGES [--seconds 10] [--json]`.
Cost: a minute, and loopback alone. RUN: a folder that feint tune wrote. IMAGES: a folder of images for it.
What it does: starts the service in a process of its own, with the limits of the command line; 1, 8 and 32 clients, one
after the other, each send one image per request over a connection of their own and wait for its answer. The clients
share this machine's cores with the service, so that another machine as client would see more. Memory is the service's
resident memory, after a first round of 32 clients that is not counted, and after the last.
Expected: no errors; throughput that does not fall as clients are added; memory that does not grow with requests.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

CLIENTS = (1, 8, 32)
BOUNDARY = "boundary-of-the-benchmark"


@dataclass(frozen=True)
class Load:
    """What so many clients saw: requests a second, milliseconds from request to answer, answers that were not 200."""

    clients: int
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def body_of(path: Path) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def load(port: int, bodies: list[bytes], *, clients: int, seconds: float) -> Load:
    """Ask with so many clients for so long."""
    took: list[float] = []
    errors: list[str] = []
    end = time.perf_counter() + seconds

    def ask(k: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (began := time.perf_counter()) < end:
            try:
                kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
                connection.request("POST", "/v1/score", bodies[(k := k + 1) % len(bodies)], kind)
                answer = connection.getresponse()
                answer.read()
                took.append(time.perf_counter() - began)
                if answer.status != 200:
                    errors.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                errors.append(str(error))
                connection.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(7 * k,)) for k in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    rate = len(took) / (time.perf_counter() - began)
    points = [1000 * each for each in statistics.quantiles(took, n=100)]
    return Load(clients, len(took), round(rate, 1), round(points[49], 1), round(points[98], 1), len(errors))


def resident_mib(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(run: Path, images: Path, seconds: float) -> dict[str, object]:
    bodies = [body_of(path) for path in sorted(images.rglob("*")) if path.suffix in {".png", ".jpg"}][:500]
    command = [sys.executable, "-m", "feint", "serve", str(run), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        said = service.stderr.readline()
        try:
            port = urlsplit(said.split()[-1]).port
            assert port is not None, said
            load(port, bodies, clients=max(CLIENTS), seconds=seconds / 2)
            before = resident_mib(service.pid)
            loads = [load(port, bodies, clients=clients, seconds=seconds) for clients in CLIENTS]
            after = resident_mib(service.pid)
        finally:
            service.send_signal(signal.SIGTERM)
    return {
        "loads": [asdict(each) for each in loads],
        "memory_mib": [round(before, 1), round(after, 1)],
        "cores": len(os.sched_getaffinity(0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.run, options.images, options.seconds)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'clients':>7} {'requests':>8} {'a second':>8} {'p50 ms':>7} {'p99 ms':>7} {'errors':>6}")
    for each in found["loads"]:
        print(
            f"{each['clients']:7} {each['requests']:8} {each['per_second']:8} {each['p50_ms']:7} {each['p99_ms']:7} "
            f"{each['errors']:6}"
        )
    print(f"Memory of the service before and after: {found['memory_mib']} MiB. Cores: {found['cores']}.")


if __name__ == "__main__":
    main()
