"""`feint augment`: a contact sheet of what an augmentation does to images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feint.cli.terminal import say

if TYPE_CHECKING:
    from torch import Tensor


def augment(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The augmentation, as studies name it: rotate, simclr, cutout-0.1, ..."),
    ],
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Images: a folder, an MVTec category, a manifest, a .npy file.")
    ],
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("sheet.png"),
    rows: Annotated[int, typer.Option(min=1, max=100, help="Images to show, evenly chosen.")] = 6,
    columns: Annotated[int, typer.Option(min=2, max=100, help="One for the originals, the others for draws.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    size: Annotated[int, typer.Option(min=8, max=1024, help="Sides of the squares the images become, in pixels.")] = 64,
) -> None:
    """Show what the augmentation NAME makes of IMAGES: originals on the left, draws or outcomes beside them."""
    from PIL import Image

    from feint.augmentations.policies import policy_named
    from feint.augmentations.preview import contact_sheet
    from feint.core.errors import OutputError, SettingError
    from feint.core.files import atomic, refuse_unwritable

    policy = policy_named(name)
    if out.suffix.lower() != ".png":
        raise SettingError(f"--out must end in .png: got {out}.")
    refuse_unwritable(out)
    if out.exists():
        raise OutputError(f"{out} exists already and is never overwritten: choose another name with --out.")
    sheet = contact_sheet(_squares(images, rows=rows, size=size), policy, columns=columns, seed=seed)
    with atomic(out) as temporary:
        Image.fromarray(sheet.numpy()).save(temporary, format="PNG")
    say(f"Contact sheet of {name}: {out}")


def _squares(source: Path, *, rows: int, size: int) -> Tensor:
    """Return up to `rows` images of `source`, evenly chosen, as squares (n, c, s, s), uint8, at most `size` wide."""
    import numpy as np
    import torch

    from feint.backends import available_cores
    from feint.data import decode, open_images, plan_preprocessing, survey

    images = open_images(source, role="normal")
    found = survey(images, workers=available_cores())
    chosen = found.kept[np.linspace(0, len(found.kept) - 1, min(rows, len(found.kept))).round().astype(int)]
    plan = plan_preprocessing(found, image_size=size)
    side = min(size, max(plan.height, plan.width))
    square = plan.model_copy(update={"height": side, "width": side})
    return torch.from_numpy(decode(images.select(chosen), [square], workers=available_cores()).pixels[0])
