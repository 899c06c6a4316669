"""The service as a process: an address, a token, and the signals that stop it and exchange its run."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, final

import uvicorn
from fastapi import FastAPI

from feint.app.api import make_app
from feint.app.limits import Limits
from feint.app.service import Service
from feint.backends import give_back_freed_memory
from feint.core.errors import SettingError

GRACE_SECONDS = 30
BACKLOG = 512


@final
@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the service listens, and who may ask.

    Args:
        host: a name or an IP address. port: 0 takes a free one.
        token: what every request must send; without one the host must be loopback.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        token = self.token
        if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            raise SettingError("the token must be printable ASCII without spaces, and not empty.")

    def listen(self) -> socket.socket:
        """Return a socket that listens.

        Raises: SettingError where the host is not loopback and there is no token, or the address cannot be had.
        """
        try:
            family, _, _, _, where = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            if self.token is None and not ipaddress.ip_address(where[0]).is_loopback:
                raise SettingError(
                    f"{self.host} lets other machines in: set a token, with FEINT_TOKEN or --token, "
                    "or stay on 127.0.0.1."
                )
            listening = socket.create_server(where[:2], family=family, backlog=BACKLOG)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by its connections
            return listening
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            reason = "the port is in use" if in_use else error.strerror or str(error)
            raise SettingError(
                f"cannot listen on {self.host} port {self.port}: {reason}. "
                "Choose another with --port (0: any free one)."
            ) from error


def serve(path: Path, *, address: Address, limits: Limits, say: Callable[[str], None]) -> None:
    """Serve a run until SIGTERM or Ctrl-C; the requests then in flight are finished, for 30 seconds at most.

    SIGHUP, where the system has it, loads the run anew from `path`, which may be a link that has been set to another
    one; no request is dropped, and where the new run cannot be loaded, the old one goes on. `say` is told what happens.

    Raises: SettingError where the address cannot be had, InputError where `path` is no run, IntegrityError where it is
    damaged.
    """
    give_back_freed_memory()
    with address.listen() as listening:
        service = Service(path, limits=limits)
        server = uvicorn.Server(configured(service, address.token))
        host, port = listening.getsockname()[:2]
        say(f"Serving {service.served.run.path}, model {service.served.name}, on http://{in_url(host)}:{port}")
        with outliving(signal.SIGTERM, signal.SIGINT):
            asyncio.run(_serve(server, listening, service, say))
    say("Stopped.")


def configured(service: Service, token: str | None) -> uvicorn.Config:
    """Return how uvicorn runs the service."""
    return quiet_config(make_app(service, token=token), lifespan="on", grace=GRACE_SECONDS)


def quiet_config(app: FastAPI, *, lifespan: Literal["on", "off"], grace: int) -> uvicorn.Config:
    """Return how uvicorn runs an app: plain HTTP, telling nothing of itself; requests in flight get `grace` seconds."""
    return uvicorn.Config(
        app, http="h11", ws="none", lifespan=lifespan, access_log=False, log_level="warning",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=grace,
    )  # fmt: skip


async def _serve(
    server: uvicorn.Server, listening: socket.socket, service: Service, say: Callable[[str], None]
) -> None:
    loop = asyncio.get_running_loop()
    swaps: set[asyncio.Task[None]] = set()

    async def swap() -> None:
        say(await service.swap())

    def begin_swap() -> None:
        task = loop.create_task(swap())
        swaps.add(task)
        task.add_done_callback(swaps.discard)

    if hasattr(signal, "SIGHUP"):  # Windows has none
        loop.add_signal_handler(signal.SIGHUP, begin_swap)
    await server.serve(sockets=[listening])


@contextmanager
def outliving(*numbers: signal.Signals) -> Iterator[None]:
    """Let the signals that uvicorn stops at, and raises anew when it has stopped, do nothing more."""
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_url(host: str) -> str:
    """Return a host as addresses write it."""
    return f"[{host}]" if ":" in host else host
