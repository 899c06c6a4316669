"""The plan of the study in the literature: 420 tasks, 13 augmentations, 3 detectors and their vanilla counterparts."""

from __future__ import annotations

PAPER = """\
# Yoo, Zhao, Akoglu (TMLR 2023), "Data Augmentation is a Hyperparameter", arXiv:2208.07734: which augmentation helps
# on which anomaly. 360 one-vs-one tasks (4 data sets x 10 normal x 9 anomalous classes) and 60 controlled ones (2 data
# sets x 10 normal classes x flip, cutout, invert): 420 tasks x 13 augmentations x 3 detectors, plus each vanilla
# detector once.
#
# {root} must hold mnist, fashion_mnist, svhn and cifar10, as .npz files or folders with the official files:
# `feint data fetch NAME --root {root}` gets each. `feint study run THIS --store STORE --dry-run` estimates the cost.
#
# Recalled from the paper, not checked: the detectors' training beyond the denoising autoencoder's, and the seeds.

[study]
name = "paper"
seeds = [0, 1, 2, 3, 4]

[[data]]
name = "mnist"
root = "{root}"
tasks = "one-vs-one"

[[data]]
name = "fashion_mnist"
root = "{root}"
tasks = "one-vs-one"

[[data]]
name = "svhn"
root = "{root}"
tasks = ["one-vs-one", "controlled"]

[[data]]
name = "cifar10"
root = "{root}"
tasks = ["one-vs-one", "controlled"]

[[arms]]
detectors = ["ae", "deepsvdd"]
augmentations = ["none"]

[[arms]]
detectors = ["dae", "ap", "deepsad"]
augmentations = [
    "crop", "rotate", "flip", "geom",        # geometric
    "cutout", "cutpaste", "cp-scar",         # local
    "mask", "noise", "blur",                 # elementwise
    "color", "invert",                       # color
    "simclr",                                # mixed
]

[detectors.ap]
net = "wrn10-4"

[[hypotheses]]
name = "aligned-category-first"
detector = "dae"

[[hypotheses]]
name = "misaligned-no-gain"
detector = "dae"

[[hypotheses]]
name = "geometric-first"
detector = "dae"

[[hypotheses]]
name = "local-and-elementwise-no-gain"
detector = "dae"

[[hypotheses]]
name = "no-single-winner"
detector = "dae"

[[hypotheses]]
name = "self-supervision-hurts"
detector = "dae"
"""

PLANS = {"paper": PAPER}


def plan_text(name: str, *, root: str) -> str:
    """Return the plan `name` as TOML, with its data sets in the folder `root`."""
    return PLANS[name].replace("{root}", root.replace("\\", "/"))
