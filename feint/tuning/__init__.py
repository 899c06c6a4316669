"""Tuning magnitudes without labels: alignment losses, hypergradients, and the alternation of ST-SSAD."""
