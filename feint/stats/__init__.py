"""How far a number can be trusted: bootstrap intervals, DeLong's covariance, the beta-binomial tail. No torch."""
