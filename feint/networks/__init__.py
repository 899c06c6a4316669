"""Encoders: from images (n, c, h, w) in [0, 1] to embeddings (n, d) and to the maps they are pooled from."""

from feint.networks.conv import Classifier, ConvEncoder

__all__ = ["Classifier", "ConvEncoder"]
