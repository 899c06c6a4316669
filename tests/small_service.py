"""The service for the tests: over real HTTP, on a free loopback port, in a thread of this process."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from feint.app.limits import Limits
from feint.app.server import Address, configured
from feint.app.service import Service


@dataclass(frozen=True)
class Serving:
    """A service that runs in a thread of this process, and a client of it."""

    service: Service
    client: httpx.Client

    def score(self, *files: tuple[str, bytes], **query: object) -> httpx.Response:
        """Send named bytes as multipart."""
        parts = [("files", each) for each in files]
        return self.client.post("/v1/score", files=parts, params=query)


@contextlib.contextmanager
def started(path: Path, *, limits: Limits, token: str | None) -> Iterator[Serving]:
    """Serve a run meanwhile."""
    service = Service(path, limits=limits)
    server = uvicorn.Server(configured(service, token))
    with Address(port=0).listen() as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
                yield Serving(service, client)
        finally:
            server.should_exit = True
            thread.join()
