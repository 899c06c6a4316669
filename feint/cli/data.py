"""`feint data check`: how a folder is understood; `feint data fetch`: public data sets from their makers."""

from __future__ import annotations

import difflib
import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from feint.cli.terminal import TerminalMonitor, say, visible
from feint.core.errors import SettingError

if TYPE_CHECKING:
    from feint.data.check import CheckRecord, SetRecord

SHOWN = 5
PATIENCE = 2.0
NOT_USABLE = 3
LAYOUTS = {
    "folder": "a folder of images, of any depth",
    "mvtec": "a category in the MVTec layout (train/good is normal, test is unlabelled)",
    "manifest": "a manifest: a table that names images and their split",
    "array": "an array of images",
}

MODES = {
    "1": "black and white",
    "L": "8-bit grey",
    "LA": "8-bit grey, transparency",
    "P": "palette",
    "RGB": "3 x 8 bits",
    "RGBA": "3 x 8 bits, transparency",
    "CMYK": "4 x 8 bits",
    "I;16": "16-bit grey",
    "I": "32-bit grey",
    "F": "32-bit grey",
}

app = typer.Typer(help="Looks at images without training anything, and gets public ones.", no_args_is_help=True)


@app.command()
def check(
    normal: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Normal images: a folder, an MVTec category, a manifest, a .npy file."),
    ],
    unlabelled: Annotated[
        Path | None,
        typer.Argument(
            metavar="[UNLABELLED]", help="Unlabelled images; by default the test part of an MVTec category."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the finding as JSON on stdout.")] = False,
) -> None:
    """Say how DIR is understood: counts, sizes, unreadable files, duplicates, images shared with UNLABELLED.

    Exits with 0 when a run could use the images, with 3 when it could not, or all of UNLABELLED stand in DIR too.
    """
    from feint.backends import available_cores
    from feint.data import open_images
    from feint.data.check import check_images

    good = open_images(normal, role="normal")
    if unlabelled is None and good.layout == "mvtec" and (normal / "test").is_dir():
        unlabelled = normal
    pool = None if unlabelled is None else open_images(unlabelled, role="unlabelled")
    with _Patient("reading images") as patient:
        record = check_images(good, pool, workers=available_cores(), progress=patient)
    if as_json:
        print(json.dumps(record.model_dump(mode="json"), indent=2))  # noqa: T201
    elif sys.stdout.isatty():
        _print_table(record)
    else:
        print("\n".join(f"{topic}: {visible(text)}" for topic, text in _lines(record)))  # noqa: T201
    if not record.usable:
        raise typer.Exit(NOT_USABLE)


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="mnist, fashion_mnist, svhn, cifar10, cifar100 or mvtec.")
    ],
    root: Annotated[Path, typer.Option(metavar="DIR", help="Folder of data sets; NAME becomes a folder in it.")],
) -> None:
    """Get the public data set NAME from its official address: resumed, verified by its checksum, unpacked.

    Prints the folder. Run it again to go on with a download that was cut.
    """
    from feint.data.fetching import fetch as fetch_dataset
    from feint.data.public_sets import DATASETS

    if name not in DATASETS:
        close = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"give one of {', '.join(DATASETS)}."
        raise SettingError(f"the data set {name!r} is unknown: {hint}")
    dataset = DATASETS[name]
    say(f"{dataset.title}: {dataset.page}\nLicence: {dataset.licence}")
    if (root / name).exists():
        say(f"{root / name} is there already: it is left as it is.")
    elif dataset.downloads:
        files = f"{len(dataset.downloads)} file{'s' if len(dataset.downloads) > 1 else ''}"
        say(f"{dataset.size / 1e6:,.1f} MB in {files} to download into {root / name}.")
    with _Patient("downloading") as patient:
        folder = fetch_dataset(dataset, root, progress=patient)
    print(folder)  # noqa: T201


class _Patient:
    """Shows the progress of a phase only when it takes longer than two seconds."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._begun = time.monotonic()
        self._monitor: TerminalMonitor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._monitor is not None:
            self._monitor.__exit__(kind, error, where)

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` is reached."""
        if self._monitor is None and time.monotonic() - self._begun > PATIENCE:
            self._monitor = TerminalMonitor().__enter__()
            self._monitor.phase(self._phase)
        if self._monitor is not None:
            self._monitor.advance(done, total)


def _print_table(record: CheckRecord) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for topic, text in _lines(record):
        table.add_row(Text(topic, style="bold"), Text(visible(text)))
    Console().print(table)


def _lines(record: CheckRecord) -> list[tuple[str, str]]:
    """Return the finding as topics and sentences."""
    lines = _set_lines("normal", record.normal)
    if record.unlabelled is not None:
        lines += _set_lines("unlabelled", record.unlabelled)
        shared, near = ([" / ".join(each) for each in pairs] for pairs in (record.shared, record.nearly_shared))
        lines.append(("shared", _some("image", shared, "pixel for pixel in both sets (unlabelled / normal)")))
        lines.append(("nearly shared", _some("pair", near, "of look-alikes (unlabelled / normal)")))
    plan = record.preprocessing
    colours = "grey" if plan.channels == 1 else "colour"
    lines.append(("at 64 px", f"{colours}, resized to {_size((plan.height, plan.width))}, white at {plan.white}"))
    for each in record.rates:
        answer = "enough" if each.enough else "too few"
        lines.append(
            (f"{each.rate:.0%} false alarms", f"{answer} normal images: {each.needed} are needed to calibrate")
        )
    lines += [("problem", each) for each in record.problems]
    lines.append(("usable", "yes" if record.usable else "no"))
    return lines


def _set_lines(role: str, found: SetRecord) -> list[tuple[str, str]]:
    images = f"{found.images:,} {'image' if found.images == 1 else 'images'}"
    lines = [(role, f"{images} in {found.source}, read as {LAYOUTS[found.layout]}")]
    lines += [
        (f"{role} folder", f"{folder}: {count:,}")
        for folder, count in found.folders.items()
        if folder != "." or len(found.folders) > 1
    ]
    sizes = ", ".join(
        f"{word} {_size(size)}"
        for word, size in (("smallest", found.smallest), ("median", found.median), ("largest", found.largest))
    )
    modes = ", ".join(
        f"{count:,} {mode}{f' ({MODES[mode]})' if mode in MODES else ''}" for mode, count in found.modes.items()
    )
    lines += [(f"{role} sizes", f"{sizes} (height x width)"), (f"{role} pixels", modes)]
    lines += [(f"{role} note", note) for note in found.notes[:SHOWN]]
    lines += [(f"{role} skipped", _some("image", [f"{each.path} ({each.reason})" for each in found.skipped], ""))]
    lines += [(f"{role} duplicates", _some("group", [" = ".join(each) for each in found.duplicates], ""))]
    lines += [(f"{role} near duplicates", _some("pair", [" ~ ".join(each) for each in found.near_duplicates], ""))]
    return lines


def _some(noun: str, items: list[str], where: str) -> str:
    """Return a count and the first few items."""
    if not items:
        return "none"
    count = f"{len(items):,} {noun}{'s' if len(items) > 1 else ''} {where}".strip()
    return f"{count}: {', '.join(items[:SHOWN])}{', ...' if len(items) > SHOWN else ''}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
