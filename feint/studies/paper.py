"""The plans of studies in the literature: which augmentation helps, whether tuning it does, what imbalance costs."""

from __future__ import annotations

from feint.studies.wild_paper import WILD

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

ST_SSAD = """\
# Yoo, Zhao, Akoglu (KDD 2025), "Self-Tuning Self-Supervised Image Anomaly Detection", arXiv:2306.12033: do magnitudes
# tuned without labels beat random ones. 41 tasks: each defect of cable (8), carpet, grid and tile (5 each) of MVTec AD,
# and each other digit against 2 and 6 of SVHN. Baselines: autoencoder, Deep SVDD, and random static (rs-: magnitudes
# drawn once per training) and random dynamic (rd-: once per image) CutOut, CutPaste and the tuned augmentation itself.
# Ablations: MMD without (mmd1) and with (mmd2) normalisation as the upper loss, and the first-order gradient (fo).
#
# {root} must hold mvtec_ad (the folders cable, carpet, grid and tile of MVTec AD, from its maker's site) and svhn, as
# .npz file or folder with the official files: `feint data fetch svhn --root {root}` gets it.
# `feint study run THIS --store STORE --dry-run` estimates the cost.
#
# Recalled from the paper, not checked: the choice of categories and digits, the baselines, the ablations and the seeds.
# Its image size, encoder and budgets are not public; one random static draw serves all tasks of a category or digit.

[study]
name = "st-ssad"
seeds = [0, 1, 2, 3, 4]
tune_pool = "val"              # half of a task's test images is seen unlabelled, all arms are judged on the other half

[[data]]
name = "mvtec_ad"
root = "{root}"
tasks = "defect-types"
normal = ["cable", "carpet", "grid", "tile"]
size = 128

[[data]]
name = "svhn"
root = "{root}"
tasks = "one-vs-one"
normal = [2, 6]
size = 32

[[arms]]
detectors = ["ae", "deepsvdd"]
augmentations = ["none"]

[[arms]]
detectors = ["discriminator"]
augmentations = ["rs-cutout", "rd-cutout", "rs-cutpaste", "rd-cutpaste"]

[[arms]]
detectors = ["discriminator"]
augmentations = ["rs-cutdiff", "rd-cutdiff"]
data = ["mvtec_ad"]

[[arms]]
detectors = ["discriminator"]
augmentations = ["rs-rotation", "rd-rotation"]
data = ["svhn"]

[[arms]]
detectors = ["st-ssad", "mmd1", "mmd2", "fo"]
augmentations = ["cutdiff"]
data = ["mvtec_ad"]

[[arms]]
detectors = ["st-ssad", "mmd1", "mmd2", "fo"]
augmentations = ["rotation"]
data = ["svhn"]

[train]
score = "gaussian"             # of the discriminator and of st-ssad: the density of the last embedding

[detectors.mmd1]
kind = "st-ssad"
loss = "mmd"

[detectors.mmd2]
kind = "st-ssad"
loss = "mmd-normalised"

[detectors.fo]
kind = "st-ssad"
order = "first"

[[hypotheses]]
name = "tuned-beats-random"
detector = "st-ssad"
"""

PLANS = {"paper": PAPER, "st-ssad": ST_SSAD, "wild": WILD}
ABOUT = {
    "paper": "420 tasks x 13 augmentations x 3 detectors, plus each vanilla detector once",
    "wild": "9 cells of method and encoder x 4 levels of contamination x 5 seeds, and 3 references on each encoder",
    "st-ssad": "41 tasks; ST-SSAD, its 3 ablations, and 8 baselines on each of 2 data sets",
}


def plan_text(name: str, *, root: str) -> str:
    """Return the plan `name` as TOML, with its data sets in the folder `root`."""
    return PLANS[name].replace("{root}", root.replace("\\", "/"))
