"""Self-supervised methods that pretrain an encoder on unlabelled images: one file each, and the loop they share."""

from feint.core.pretraining import Method
from feint.pretraining.barlow_twins import BarlowTwins
from feint.pretraining.byol import BYOL
from feint.pretraining.dino import DINO
from feint.pretraining.mae import MAE
from feint.pretraining.simclr import SimCLR
from feint.pretraining.vicreg import VICReg

METHODS: dict[str, type[Method]] = {
    "simclr": SimCLR,
    "byol": BYOL,
    "barlow_twins": BarlowTwins,
    "dino": DINO,
    "mae": MAE,
    "vicreg": VICReg,
}
"""The catalogue: the next method is a file and a line here."""

__all__ = ["BYOL", "DINO", "MAE", "METHODS", "BarlowTwins", "SimCLR", "VICReg"]
