"""From scores to decisions with a guarantee: conformal p-values, thresholds, false-discovery control, drift."""
