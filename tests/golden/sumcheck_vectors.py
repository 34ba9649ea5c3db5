"""The proofs kept in ``tests/golden/sumcheck``: how they are read, and how they were made.

``python -m tests.golden.sumcheck_vectors`` writes them anew. That is right only if the protocol has
changed on purpose: otherwise proofs made before would no longer verify, or would after a bug.
The format is described in ``tests/golden/sumcheck/README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from circuits.network import Architecture
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix, commit, feature_rows
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.proof_bytes import parse
from circuits.sumcheck.public import AccuracyInput, Metrics, Outputs, WellFormedInput
from tests.attacks.sumcheck_lab import Bench, count
from tests.attacks.sumcheck_lab_fractions import Cheats
from tests.attacks.sumcheck_lab_networks import bench, mlp, mlp_architecture, zoo
from tests.attacks.sumcheck_lab_opening import Forgery, repair_sum, seed_bytes
from tests.attacks.sumcheck_lab_product import prove_bench, prove_bench_well_formed
from tests.attacks.sumcheck_lab_proof import Made, prove
from tests.attacks.sumcheck_lab_values import Lies, add_at, residues, set_at
from tests.attacks.sumcheck_lab_witness import make_witness

FOLDER = Path(__file__).parent / "sumcheck"
_COMMITMENT, _PROOF = 11, 12  # seeds


@dataclass(frozen=True)
class Vector:
    """One kept proof.

    Attributes
    ----------
    name : str
    bench : Bench
        The secrets, and the public sizes.
    relation : str
        "accuracy" or "well-formed".
    public : AccuracyInput or WellFormedInput
    roots : dict
        Of shard and model.
    expected : (str, str)
        Verdict of the fast and of the plain verifier: the check that fails, or "".
    proof : bytes
    """

    name: str
    bench: Bench
    relation: str
    public: AccuracyInput | WellFormedInput
    roots: dict[MatrixName, bytes]
    expected: tuple[str, str]
    proof: bytes

    def verdicts(self) -> tuple[str, str]:
        """Ask both verifiers."""
        relation = self.bench.relation
        if self.relation == "well-formed":
            relation = self.bench.well_formed
        # The parts are not looked at; some kept proofs cannot even be parsed.
        made = Made(relation, self.public, self.roots, None)  # type: ignore[arg-type]
        return made.verdicts(self.proof)


def names() -> list[str]:
    """Return the names of all kept proofs."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> Vector:
    """Read a kept proof."""
    value = json.loads((FOLDER / f"{name}.json").read_text())
    return Vector(
        name,
        _bench_from(value),
        value["relation"],
        _public_from(value["relation"], value["public"]),
        {kind: bytes.fromhex(root) for kind, root in value["roots"].items()},
        (value["expected"]["fast"], value["expected"]["plain"]),
        (FOLDER / f"{name}.proof").read_bytes(),
    )


def save(vector: Vector) -> None:
    """Write a proof to be kept."""
    made = vector.bench
    public = json.loads(vector.public.encode())
    value = {
        "relation": vector.relation,
        "expected": dict(zip(("fast", "plain"), vector.expected, strict=True)),
        "public": {k: v for k, v in public.items() if k not in _FIXED},
        "roots": {name: root.hex() for name, root in vector.roots.items()},
        "kappa": made.kappa,
        "a": made.a,
        "metrics": {f.name: getattr(made.metrics, f.name) for f in fields(Metrics)},
        "group_count": made.group_count,
        "architecture": made.architecture.to_dict(),
        "secret": {
            "weights": {name: array.tolist() for name, array in made.weights.items()},
            "x": made.x.tolist(),
            "y": list(made.y),
            "groups": list(made.groups),
        },
    }
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(value, indent=1)
    (FOLDER / f"{vector.name}.json").write_text(text + "\n")
    (FOLDER / f"{vector.name}.proof").write_bytes(vector.proof)


_FIXED = ("protocol", "version", "relation")


def _bench_from(value: Mapping[str, Any]) -> Bench:
    secret = value["secret"]
    return Bench(
        Architecture.from_dict(value["architecture"]),
        {name: np.array(array) for name, array in secret["weights"].items()},
        np.array(secret["x"]),
        secret["y"],
        value["a"],
        secret["groups"],
        value["group_count"],
        Metrics(**value["metrics"]),
        value["kappa"],
    )


def _public_from(relation: str, value: Mapping[str, Any]) -> AccuracyInput | WellFormedInput:
    if relation == "well-formed":
        return WellFormedInput(**value)
    tables = {
        name: tuple(tuple(row) for row in table) if isinstance(table, list) else table
        for name, table in value["outputs"].items()
    }
    return AccuracyInput(**{**value, "outputs": Outputs(**tables)})


def commitments(made: Bench, lies: Lies | None = None) -> dict[MatrixName, Matrix]:
    """Return the owners' commitments, made as the product makes them."""
    witness = made.witness(lies)
    profile = made.relation.profile
    assert witness.model is not None
    slots = residues(witness.model).reshape(-1, profile.row_slots)
    return {
        "shard": commit(feature_rows(residues(witness.shard), profile), seed_bytes(_COMMITMENT, 1)),
        "model": commit(slots, seed_bytes(_COMMITMENT, 2)),
    }


def product_proof(made: Bench, relation: str) -> Made:
    """Return the product's proof, with the randomness of the kept ones."""
    matrices = commitments(made)
    if relation == "well-formed":
        return prove_bench_well_formed(made, {"shard": matrices["shard"]}, _PROOF)
    return prove_bench(made, matrices, _PROOF)


def _vector(name: str, of: Bench, made: Made, expected: str = "") -> Vector:
    verdicts = (expected, expected)  # the checks of these have the same name in both verifiers
    return Vector(name, of, made.relation.name, made.public, made.roots, verdicts, made.data)


def _attack(made: Bench, lies: Lies | None = None, pretend: bool = False, **how: Any) -> Made:
    """Return a proof of a witness with lies."""
    matrices = commitments(made, lies)
    witness = made.witness(lies, pretend=pretend)
    public = made.public(matrices, count(witness, made.samples))
    claim: Callable[[Outputs], Outputs] | None = how.pop("claim", None)
    if claim:
        public = replace(public, outputs=claim(public.outputs))
    return prove(witness, matrices, public, seed=_PROOF, **how)


def _attack_well_formed(made: Bench, lies: Lies) -> Made:
    matrices: dict[MatrixName, Matrix] = {"shard": commitments(made, lies)["shard"]}
    witness = make_witness(made.well_formed, made.shard(lies), None, lies)
    public = WellFormedInput(made.kappa, made.a, made.shard_id(matrices), made.samples)
    return prove(witness, matrices, public, seed=_PROOF)


def _spoil(codeword: U64Array) -> None:
    """Make the first row of a matrix no codeword."""
    codeword[: len(codeword) // 2, 0] = 0


def _last_byte_changed(made: Made) -> Made:
    data = made.data[:-1] + bytes([made.data[-1] ^ 1])
    return replace(made, proof=parse(data, made.relation.shape))


def all_vectors(dense: Bench, zoo: Bench, one: Bench) -> list[Vector]:
    """Make all kept proofs, of a dense network, of all kinds of layers, of a single sample."""
    activation: Lies = {("output", "back"): add_at((7, 6), 1)}
    five: Lies = {("labels", ""): set_at((0, 0), 5)}
    replaced = _attack(zoo, activation, pretend=True)
    carried = _attack(zoo, activation, cheats=Cheats(carry="p"))
    accepted = product_proof(dense, "accuracy")
    return [
        _vector("accept-dense", dense, accepted),
        _vector("accept-convolution-pool-residual", zoo, product_proof(zoo, "accuracy")),
        _vector("accept-one-sample", one, product_proof(one, "accuracy")),
        _vector("accept-well-formed", dense, product_proof(dense, "well-formed")),
        _vector("reject-one-more-correct", dense, _attack(dense, claim=_one_more), "sum"),
        _vector("reject-wrong-activation", zoo, replaced.reopened(Forgery(q=repair_sum)), "linear"),
        _vector("reject-carried-to-the-leaves", zoo, carried, "sum"),
        _vector(
            "reject-no-codeword", one, _attack(one, forgery=Forgery(codeword=_spoil)), "proximity"
        ),
        _vector("reject-changed-node", dense, _last_byte_changed(accepted), "columns"),
        _vector("reject-label-five", dense, _attack_well_formed(dense, five), "sum"),
    ]


def remade() -> list[Vector]:
    """Make all kept proofs from the secrets that are kept with them."""
    names = ("accept-dense", "accept-convolution-pool-residual", "accept-one-sample")
    return all_vectors(*(load(name).bench for name in names))


def _one_more(outputs: Outputs) -> Outputs:
    """Claim that one of class 0 that was taken for class 1 is right."""
    (zero, *classes), (row, *rows) = outputs.per_class, outputs.confusion
    (group, *groups) = outputs.groups
    return Outputs(
        outputs.correct + 1,
        ((zero[0] + 1, zero[1]), *classes),
        ((row[0] + 1, row[1] - 1, row[2]), *rows),
        ((group[0] + 1, group[1]), *groups),
    )


def main() -> None:
    """Write all kept proofs, having asked both verifiers."""
    for vector in all_vectors(mlp(), zoo(), bench(mlp_architecture(), 1, 0, seed=28)):
        found = vector.verdicts()
        if found != vector.expected:
            raise SystemExit(f"{vector.name}: {found}, expected {vector.expected}")
        save(vector)


if __name__ == "__main__":
    main()
