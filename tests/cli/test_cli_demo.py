"""``zkpot demo``, which the README begins with."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest
from cli_lab import Cli

pytest.importorskip("torch", reason="the demo trains a network: pip install 'zkpot[train]'")
pytest.importorskip("sklearn", reason="the demo's data are scikit-learn's")


def test_refuses_a_folder_that_is_not_its_own(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    cli("demo", "--out", tmp_path).refused("BAD_INPUT", 2, "name another --out")
    assert (tmp_path / "thesis.tex").exists()


FORGERIES = {
    "sumcheck": (r"sumcheck: shard 0: ", r"model: id: expected"),
    "halo2": (r"ezkl: .* does not establish", r"model: .*answered by model"),
}


@pytest.mark.parametrize("backend", ["sumcheck", pytest.param("halo2", marks=pytest.mark.ezkl)])
def test_breast_cancer(backend: str, tmp_path: Path) -> None:
    # A home without any SRS, as on a new machine.
    cli = Cli(tmp_path / "home")
    words = ("demo", "--dataset", "breast_cancer", "--backend", backend, "--out", tmp_path / "demo")
    ran = cli.finished(cli.process(*words), timeout=600).good()
    proven = re.search(r"proved: (\d+) of 171 right \((\d+\.\d\d)%\)", ran.out)
    assert proven
    count = int(proven[1])
    assert f"proven accuracy   {count} of 171 ({count / 171:.2%})" in ran.out
    assert count > 150
    assert ran.out.count("error [PROOF_REJECTED]:") == 2
    for reason in FORGERIES[backend]:
        assert re.search(r"error \[PROOF_REJECTED\]: " + reason, ran.out)
    assert ("development SRS" in ran.out) == (backend == "halo2")
    book = tmp_path / "demo" / "ledger"
    (credit,) = cli("ledger", "balance", book, "--json").good().json["balances"].values()
    assert credit > 0
    refused = cli("ledger", "show", book, "--json").good().json["refusals"]
    assert [item["code"] for item in refused] == ["PROOF_REJECTED"]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 8 << 20
