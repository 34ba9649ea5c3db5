"""The checks of a halo2 bundle, in their order.

Settings and keys are rebuilt from the public circuit, instances from the statement, and the SRS is
the verifier's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, InputError, ProofRejected
from circuits.halo2 import keys as halo2_keys
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import Keys
from circuits.halo2.match import testset_differences
from circuits.halo2.plan import require_memory
from circuits.halo2.testset import Halo2Part
from verifier import halo2
from verifier.evm import SolidityVerifier
from verifier.question import Expectation, Options, Step, count, require_same
from verifier.yul import UnsupportedVerifier


class Halo2Checks:
    """One halo2 bundle under examination.

    Raises
    ------
    ArtefactError, InputError
        If the bundle's circuit or details are not well-formed.
    """

    insecure = False

    def __init__(self, bundle: Bundle, expected: Expectation, options: Options) -> None:
        self.bundle = bundle
        self.expected = expected
        self.options = options
        self.circuit = Circuit.from_dict(bundle.circuit)
        if bundle.details not in ({"srs_insecure": True}, {"srs_insecure": False}) or not (
            isinstance(bundle.details["srs_insecure"], bool)
        ):
            raise CorruptedArtefact("bundle: the details are malformed", artefact="bundle")
        self.srs: Path
        self.keys: Keys
        self.contract: SolidityVerifier
        self.public: list[list[int]]

    @property
    def part(self) -> Halo2Part:
        """The commitments of the test set."""
        return self.expected.manifest.halo2

    @property
    def circuit_digest(self) -> str:
        """Digest of the bundle's circuit."""
        return self.circuit.digest

    def differences(self) -> Iterator[tuple[str, object, object]]:
        """Yield (what, test set's value, circuit's value) wherever the two disagree."""
        return testset_differences(self.circuit, self.expected.manifest)

    def steps(self) -> Iterator[Step]:
        """Yield the checks, from the shards to the proofs."""
        proofs = count(len(self.bundle.proofs), "proof")
        wanted = self.options.verifiers
        yield Step("shards", self._shards, f"{count(len(self.part.shards), 'shard')}, each once")
        yield Step("model", self._model, self.bundle.statement.model)
        yield Step("srs", self._srs, self.circuit.srs)
        yield Step("keys", _examined("keys", self._derive))
        yield Step("proof form", _examined("proof form", self._form))
        if wanted != "plain":
            yield Step("ezkl", self._ezkl, proofs)
        if wanted != "fast":
            yield Step("py_ecc", self._py_ecc, proofs)

    def _shards(self) -> None:
        halo2.check_shards(self.bundle, self.part)
        statement = self.bundle.statement
        require_same("shards", "number of counts", len(self.part.shards),
                     len(statement.shard_correct))  # fmt: skip
        # This circuit proves no tables, so whatever stood in one would be the prover's word.
        for name in ("per_class", "confusion", "groups"):
            require_same("shards", f"table {name}", (), getattr(statement, name))

    def _model(self) -> None:
        statement, expected = self.bundle.statement, self.expected
        if expected.model is not None:
            require_same("model", "id", expected.model, statement.model)
        halo2.check_model(self.bundle, self.circuit)

    def _srs(self) -> None:
        allow = self.options.allow_insecure_srs
        if self.options.srs is not None:
            info = srs_files.require(self.options.srs, k=self.circuit.k, allow_insecure=allow)
        else:
            info = srs_files.find(self.circuit.k, allow_insecure=allow)
        self.insecure = info.insecure
        require_same("srs", "digest", info.digest, self.circuit.srs)
        require_same("srs", "digest in the manifest", info.digest, self.part.srs)
        # The marks are for people who look at the files; they must not say otherwise.
        for marked in (self.bundle.srs_insecure, self.part.srs_insecure):
            require_same("srs", "development mark", info.insecure, marked)
        self.srs = info.path

    def _derive(self) -> None:
        # A bundle names its circuit, and a hostile one could name an enormous one.
        require_memory(self.circuit, self.options.memory)
        self.keys = halo2_keys.derive(
            self.circuit,
            self.srs,
            proving=False,
            store=self.options.key_store,
            fresh=self.options.fresh_keys,
        )
        if self.expected.verifying_key is not None:
            require_same("keys", "verifying key", self.expected.verifying_key,
                         self.keys.verifying_key_digest)  # fmt: skip

    def _form(self) -> None:
        self.public = halo2.expected_instances(self.bundle, self.circuit, self.part)
        self.contract = halo2.generate_contract(self.keys, self.srs)
        halo2.check_lengths(self.bundle, self.contract, self.public)

    def _ezkl(self) -> None:
        halo2.check_with_ezkl(self.bundle, self.keys, self.srs, self.public)

    def _py_ecc(self) -> None:
        halo2.check_with_py_ecc(self.bundle, self.contract, self.public)


def _examined(check: str, run: Callable[[], None]) -> Callable[[], None]:
    """Turn what is wrong with the bundle's own circuit into a rejection."""

    def examined() -> None:
        try:
            run()
        except (InputError, UnsupportedVerifier) as error:
            raise ProofRejected(check, error.message, reason=error.code) from None

    return examined
