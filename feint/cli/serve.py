"""`feint serve`: a saved run as an HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import say


def serve(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A folder that feint tune wrote, or a link to one; SIGHUP reloads it.")
    ],
    host: Annotated[str, typer.Option(help="Where to listen. Anything but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="FEINT_TOKEN", help="What requests must send as 'Authorization: Bearer TOKEN'."),
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Longest request, MiB.")] = 32,
    max_megapixels: Annotated[int, typer.Option(min=1, max=100, help="All images of a request together.")] = 100,
    max_images: Annotated[int, typer.Option(min=1, help="Images in a request.")] = 64,
    max_in_flight: Annotated[int, typer.Option(min=1, help="Requests worked on at once.")] = 64,
) -> None:
    """Score images over HTTP with the detector of RUN: POST /v1/score."""
    from feint.core.errors import SettingError

    try:
        from feint.app.limits import Limits
        from feint.app.server import Address
        from feint.app.server import serve as serve_run
    except ModuleNotFoundError as error:
        raise SettingError(f"{error.name} is not installed: pip install 'feint[serve]'.") from error
    limits = Limits(megabytes=max_megabytes, megapixels=max_megapixels, images=max_images, in_flight=max_in_flight)
    serve_run(run, address=Address(host=host, port=port, token=token), limits=limits, say=say)
