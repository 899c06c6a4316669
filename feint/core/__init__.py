"""Types everything else is written in: errors, named random streams, the abstract classes.

Nothing is imported here, so that `feint.core.errors` costs no torch.
"""
