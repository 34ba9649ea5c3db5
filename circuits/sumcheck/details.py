"""What a sumcheck bundle says beside its statement: the model's commitment, counts by shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from circuits import artefact
from circuits.sumcheck.model import ModelCommitment
from circuits.sumcheck.outputs import parse_outputs
from circuits.sumcheck.public import Outputs

_FIELDS = {"model": dict, "outputs": list}


@dataclass(frozen=True)
class Details:
    """The details of a bundle.

    Attributes
    ----------
    model : ModelCommitment
        The commitment whose id the statement names.
    outputs : tuple of Outputs
        The counts of each shard, which its proof is a proof of.
    """

    model: ModelCommitment
    outputs: tuple[Outputs, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the details as JSON-ready values."""
        return {
            "model": self.model.to_dict(),
            "outputs": [outputs.to_dict() for outputs in self.outputs],
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Details:
        """Read the details back; CorruptedArtefact if they are malformed."""
        fields = artefact.exact_fields(value, "bundle", _FIELDS)
        model = ModelCommitment.from_dict(fields["model"])
        return cls(model, tuple(parse_outputs(outputs) for outputs in fields["outputs"]))
