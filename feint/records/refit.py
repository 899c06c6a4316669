"""The record of a refit: the schema of refit.json, and all that a page needs to show old and new side by side."""

from __future__ import annotations

from pydantic import Field

from feint.records.run import Estimate, Record

REFIT_SCHEMA = 1


class Kinds(Record):
    """How many marked images of each kind."""

    anomalous: int
    normal: int


class Judgement(Record):
    """What one detector, old or new, says of the marked images that were kept for judging."""

    auroc: Estimate | None = Field(description="None where images of one kind are missing")
    caught: int = Field(description="anomalous ones that it flags at its threshold")
    rejected: int = Field(description="normal ones that it flags at its threshold")


class Roles(Record):
    """The path of every marked image in what it was used for, as scores.csv names it."""

    fitted_anomalous: list[str]
    fitted_normal: list[str]
    judged_anomalous: list[str]
    judged_normal: list[str]
    left_out: list[str] = Field(
        description="marked normal, and normal images of the run anyway; or copies of what is judged by"
    )

    @property
    def fitted(self) -> list[str]:
        """All that are learned from."""
        return self.fitted_anomalous + self.fitted_normal


class RefitRecord(Record):
    """Where a refitted run comes from, what its marks were used for, and how it compares with the old one."""

    schema_version: int = REFIT_SCHEMA
    parent: str = Field(description="folder of the run that was refitted, as it was given")
    parent_sha256: str = Field(description="of that run's model.safetensors")
    seed: int
    fitted: Kinds = Field(description="different marked images that the new detector learned from")
    judged: Kinds = Field(description="different marked images that neither learned from, and both are judged on")
    old: Judgement
    new: Judgement
    difference: Estimate | None = Field(
        description="new AUROC minus old, with a paired bootstrap interval; None where fewer than 10 of a kind judge"
    )
    roles: Roles
    sentence: str
