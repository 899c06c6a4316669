"""The review as a process: an address, a browser, and Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
import webbrowser
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn

from feint.app.review.desk import ADDRESS, Desk, held
from feint.app.review.pages import make_app
from feint.app.review.subject import scored_by, unlabelled_of
from feint.app.server import Address, in_url, outliving, quiet_config
from feint.backends import give_back_freed_memory
from feint.core.files import write_text
from feint.runs.progress import Monitor
from feint.runs.run import Run

GRACE_SECONDS = 3


def review(
    run: Run, images: Path | None, *, address: Address, monitor: Monitor, browse: bool, say: Callable[[str], None]
) -> None:
    """Serve the review page of a run until Ctrl-C or SIGTERM; other images than its own are scored first.

    Raises: SettingError where the address cannot be had, OutputError where another process reviews the run,
    InputError and IntegrityError where the run or the images cannot be worked with.
    """
    give_back_freed_memory()
    with held(run) as folder, address.listen() as listening:
        subject = unlabelled_of(run) if images is None else scored_by(run, images, monitor)
        with closing(Desk(subject, folder)) as desk:
            host, port = listening.getsockname()[:2]
            where = f"http://{in_url(host)}:{port}"
            write_text(folder / ADDRESS, where)
            server = uvicorn.Server(configured(desk, address.token))
            say(f"Reviewing {run.path}: {where} (Ctrl-C ends). Marks are kept in {folder.name}, beside the run.")
            if browse:
                threading.Thread(target=webbrowser.open, args=[where], daemon=True).start()
            with outliving(signal.SIGTERM, signal.SIGINT):
                asyncio.run(server.serve(sockets=[listening]))
            last = desk.refits.last()
    goes_on = last is not None and last.state == "running"
    say("Stopped. The refit goes on; feint review shows how it is doing." if goes_on else "Stopped.")


def configured(desk: Desk, token: str | None) -> uvicorn.Config:
    """Return how uvicorn runs the page."""
    return quiet_config(make_app(desk, token=token), lifespan="off", grace=GRACE_SECONDS)
