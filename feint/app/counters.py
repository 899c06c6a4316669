"""What /metrics tells, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from feint.app.messages import ScoredImage, UnreadImage

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)
P_VALUES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@final
class Counters:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("feint_requests", "Requests answered", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "feint_request_seconds", "From request to answer", ["route"], buckets=SECONDS, registry=registry
        )
        self._flight = Gauge("feint_requests_in_flight", "Requests being read or scored", registry=registry)
        self._images = Counter("feint_images", "Images: ordinary, flagged or unread", ["outcome"], registry=registry)
        self._p_values = Histogram(
            "feint_p_value", "Evenly spread while the images are like the calibration normals",
            buckets=P_VALUES, registry=registry,
        )  # fmt: skip
        self._batches = Histogram("feint_batch_images", "Images scored at once", buckets=IMAGES, registry=registry)
        self._swaps = Counter("feint_swaps", "Exchanges of the run: done or failed", ["outcome"], registry=registry)
        self._model = Gauge("feint_model", "1 for the model that scores", ["sha256"], registry=registry)
        self.in_flight = 0

    @contextmanager
    def one_more_in_flight(self) -> Iterator[None]:
        """Count a request as in flight meanwhile."""
        self.in_flight += 1
        self._flight.set(self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._flight.set(self.in_flight)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def images(self, images: Sequence[ScoredImage | UnreadImage]) -> None:
        """Count the images of an answer."""
        for each in images:
            if isinstance(each, UnreadImage):
                self.unread(1)
            else:
                self._images.labels("flagged" if each.flagged else "ordinary").inc()
                self._p_values.observe(each.p_value)

    def unread(self, images: int) -> None:
        """Count images that could not be used."""
        self._images.labels("unread").inc(images)

    def batch(self, images: int) -> None:
        """Count a batch of so many images."""
        self._batches.observe(images)

    def swapped(self, *, done: bool) -> None:
        """Count an exchange of the run."""
        self._swaps.labels("done" if done else "failed").inc()

    def serves(self, sha256: str) -> None:
        """Say which model scores."""
        self._model.clear()
        self._model.labels(sha256).set(1)

    def text(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        return generate_latest(self._registry)
