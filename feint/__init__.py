"""Feint finds anomalies in images without labels, and tells which augmentation fits them."""

__version__ = "0.1.0"
