"""Keys depend on the public circuit and on nothing else: no key can carry a forger's secret."""

from __future__ import annotations

from dataclasses import replace

import pytest

from circuits.halo2.keys import derive
from tests.attacks.lab import (
    EZKL,
    Bench,
    circuit_for,
    mlp_architecture,
)

pytestmark = pytest.mark.ezkl


def test_keys_know_no_weights(mlp: Bench, tmp_path):
    """A key made with a witness at hand is the same: it cannot be bent towards a model."""
    other = mlp.secrets
    for at in range(24):
        other = other.changed("weights", at, (at % 7) + 1)
    for name, secrets in (("honest", mlp.secrets), ("other", other)):
        folder = tmp_path / name
        folder.mkdir()
        witness = folder / "witness.json"
        compiled = mlp.keys.path("compiled")
        data = folder / "in.json"
        data.write_text(mlp.input_json(secrets))
        EZKL("gen_witness", data, compiled, witness, mlp.keys.path("verifying_key"), mlp.srs)
        EZKL("setup", compiled, folder / "vk", folder / "pk", mlp.srs, witness_path=witness)
        for file, kind in (("vk", "verifying_key"), ("pk", "proving_key")):
            assert (folder / file).read_bytes() == mlp.keys.path(kind).read_bytes()


def test_keys_are_the_same_in_every_run(mlp: Bench, tmp_path):
    """gen_settings writes its lists in a random order, which would change the key."""
    for run in range(3):
        again = derive(mlp.circuit, mlp.srs, proving=run == 0, store=tmp_path / str(run))
        assert again.verifying_key_digest == mlp.keys.verifying_key_digest
        assert again.path("settings").read_bytes() == mlp.keys.path("settings").read_bytes()
        assert again.path("graph").read_bytes() == mlp.keys.path("graph").read_bytes()
        if run == 0:
            assert (
                again.path("proving_key").read_bytes() == mlp.keys.path("proving_key").read_bytes()
            )


def test_another_circuit_has_another_key(mlp: Bench, conv: Bench, srs, tmp_path):
    """Shard size, architecture, digits and columns are in the key, so a proof is of one of each."""
    circuits = {
        "shard size": replace(mlp.circuit, shard_size=2),
        "hidden layer": circuit_for(mlp_architecture(hidden=2), srs, shard_size=3),
        "wider weights": circuit_for(replace(mlp_architecture(), weight_bits=5), srs, shard_size=3),
        "base": replace(mlp.circuit, decomp_base=256),
        "legs": replace(mlp.circuit, decomp_legs=3),
        "columns": replace(mlp.circuit, columns=3),
    }
    digests = {mlp.keys.verifying_key_digest, conv.keys.verifying_key_digest}
    for circuit in circuits.values():
        digests.add(derive(circuit, mlp.srs, proving=False, store=tmp_path).verifying_key_digest)
    assert len(digests) == len(circuits) + 2


def test_the_number_of_salts_is_not_in_the_key(mlp: Bench, tmp_path):
    """What nothing reads constrains nothing: budgets are bound by manifest and circuit digest.

    tests/attacks/test_hostile_circuits.py shows where that matters and what stops it.
    """
    for change in ({"testset_budget": 3}, {"model_budget": 3}):
        circuit = replace(mlp.circuit, **change)
        assert circuit.digest != mlp.circuit.digest
        keys = derive(circuit, mlp.srs, proving=False, store=tmp_path)
        assert keys.verifying_key_digest == mlp.keys.verifying_key_digest


def test_a_proof_is_of_one_key(mlp: Bench, srs, tmp_path):
    """A proof made with the proving key of the same network in another shard size is refused."""
    circuit = replace(mlp.circuit, shard_size=2)
    keys = derive(circuit, mlp.srs, proving=True, store=tmp_path)
    features = [*mlp.secrets.features[:6], *mlp.secrets.features[9:]]
    labels = [*mlp.secrets.labels[:2], *mlp.secrets.labels[3:]]
    secrets = replace(mlp.secrets, features=features, labels=labels)
    other = replace(mlp, circuit=circuit, keys=keys, secrets=secrets)
    made = other.prove()
    assert other.accepts(made)
    assert not mlp.accepts(made)
    assert not mlp.accepts(made, mlp.public())
