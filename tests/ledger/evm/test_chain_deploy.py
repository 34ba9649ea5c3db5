"""What is not put on a chain, and the compiler that only a task's owner needs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction

import pytest

from circuits.errors import MissingArtefact, WorkerFailed
from ledger.errors import BadKey, MalformedEntry, NotOnChain
from ledger.evm.artefact import EIP170_LIMIT
from ledger.evm.deploy import compile_verifier, deploy_ledger, deploy_verifier
from tests.ledger.evm.evm_world import CHARTER, OPERATOR, Ledger, new_chain
from tests.ledger.evm.halo2_world import Halo2World


@pytest.fixture(scope="module")
def node():
    return new_chain()[0]


def deploy(node, name="x", **terms):
    charter = terms.pop("charter", CHARTER)
    return deploy_ledger(node, OPERATOR, name, allow_insecure_srs=False, charter=charter, **terms)


def test_charters_that_no_contract_keeps(node):
    for change in ({"bond_entries": 1}, {"finder_share": Fraction(1, 2)}):
        with pytest.raises(NotOnChain):
            deploy(node, charter=replace(CHARTER, **change))
    for other in ("11" * 32, "00" * 32):
        with pytest.raises(BadKey):
            deploy(node, charter=replace(CHARTER, governors=(other,), threshold=1))


def test_terms_that_are_none(node):
    for terms in ({"charter": replace(CHARTER, number=1)}, {"grants": {OPERATOR.public: 0}}):
        with pytest.raises(MalformedEntry):
            deploy(node, **terms)
    with pytest.raises(MalformedEntry):
        deploy(node, name="two words")


def test_two_ledgers_of_one_name_are_two_ledgers():
    first = Ledger.deploy()
    second = Ledger.deploy(first.node, first.tester)
    assert first.origin != second.origin


def test_a_verifier_that_is_too_large(node):
    compiled = replace(Halo2World.load().verifier, runtime=bytes(EIP170_LIMIT + 1))
    with pytest.raises(NotOnChain, match="fewer columns"):
        deploy_verifier(node, OPERATOR, compiled)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_without_the_compiler(tmp_path):
    with pytest.raises(MissingArtefact, match="npm install"):
        compile_verifier("", tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises((MissingArtefact, WorkerFailed)):
        compile_verifier("", tmp_path / "none")
