"""`feint review`: a run as a page to look at, mark and refit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import TerminalMonitor


def review(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint tune or feint refit wrote.")],
    images: Annotated[
        Path | None,
        typer.Argument(metavar="[IMAGES]", help="Other images, scored first; without them the run's unlabelled ones."),
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen. Anything but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8100,
    token: Annotated[
        str | None, typer.Option(envvar="FEINT_TOKEN", help="What the page asks for before it shows anything.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Look at the images of RUN in a browser, choose a threshold, mark them, and refit with the marks."""
    from feint.core.errors import SettingError
    from feint.runs.run import Run

    try:
        from feint.app.review.process import review as review_run
        from feint.app.server import Address
    except ModuleNotFoundError as error:
        raise SettingError(f"{error.name} is not installed: pip install 'feint[serve]'.") from error
    address = Address(host=host, port=port, token=token)
    with TerminalMonitor() as monitor:
        review_run(Run(run), images, address=address, monitor=monitor, browse=browser, say=monitor.say)
