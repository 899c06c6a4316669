"""The plan of the study of self-supervised representations under imbalance, as far as the paper's own is known."""

from __future__ import annotations

WILD = """\
# Otero, Mateus, Balestriero (NeurIPS 2024 workshop), "Anomaly detection in the wild: can SSL handle strong distribution
# imbalances?", arXiv:2410.04289: five self-supervised methods on two encoders, with 1, 2, 5 and 15 % anomalies among
# the images that they are trained on; judged by a probe on a test set in balance, and without labels.
#
# 9 cells of method and encoder (MAE hides patches, and is not applicable to ResNet-18) x 4 levels x 5 seeds, and three
# references for each encoder. The paper counts 250 experiments; how they divide is not known, nor are its image size,
# its steps, its batch and whether probe and pretraining were in imbalance together, as they are here.
#
# {root} must hold sewer_ml/, the training part of Sewer-ML: its CSV and its zips, or what was unpacked of them; see
# docs/sewer-ml.md. Other sets: another [[data]], a folder in the MVTec layout, of classes, or a CSV path,label.
# `feint study run THIS --store STORE --dry-run` estimates the cost.

[study]
name = "wild"
seeds = [0, 1, 2, 3, 4]

[[data]]
name = "sewer_ml"
path = "{root}/sewer_ml"
size = 64
most = 100000

[pretraining]
arms = [
    "simclr/resnet18", "byol/resnet18", "barlow_twins/resnet18", "dino/resnet18", "mae/resnet18",
    "simclr/vit_tiny", "byol/vit_tiny", "barlow_twins/vit_tiny", "dino/vit_tiny", "mae/vit_tiny",
    "untrained/resnet18", "supervised/resnet18", "supervised-weighted/resnet18",
    "untrained/vit_tiny", "supervised/vit_tiny", "supervised-weighted/vit_tiny",
]
levels = [0.01, 0.02, 0.05, 0.15]
steps = 100000
batch = 128
views = "defect"
"""
