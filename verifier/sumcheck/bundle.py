"""The checks of a sumcheck bundle, in their order.

There are no keys: tables, layout and lengths follow from the public circuit, and everything that a
proof is held against is put together here from statement and manifest.
"""

from __future__ import annotations

from collections.abc import Iterator

from circuits.bundle import Bundle
from circuits.errors import InputError, MissingArtefact, ProofRejected
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.claims import accuracy_input
from circuits.sumcheck.details import Details
from circuits.sumcheck.layout import ModelLayout
from circuits.sumcheck.match import testset_differences
from circuits.sumcheck.outputs import total
from circuits.sumcheck.testset import SumcheckPart
from verifier.question import Expectation, Options, Step, count, require_same
from verifier.sumcheck.claim import Claim, wants_fast, wants_plain
from verifier.sumcheck.limits import require_circuit
from verifier.sumcheck.wellformed import verify_well_formed


class SumcheckChecks:
    """One sumcheck bundle under examination.

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
        self.details = Details.from_dict(bundle.details)

    @property
    def part(self) -> SumcheckPart:
        """The commitments of the test set."""
        return self.expected.manifest.sumcheck

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
        shards = count(len(self.part.shards), "shard")
        yield Step("shards", self._shards, f"{shards}, each once")
        yield Step("model", self._model, self.bundle.statement.model)
        yield Step("well-formed", self._well_formed, shards)
        yield Step("parameters", self._parameters, f"profile {self.circuit.kappa}")
        wanted = self.options.verifiers
        if wants_fast(wanted):
            yield Step("sumcheck", self._sumcheck, proofs)
        if wants_plain(wanted, self.circuit.relation, len(self.bundle.proofs)):
            yield Step("plain", self._plain, proofs)

    def _shards(self) -> None:
        """Check that there is one proof and one set of counts for each shard, and their sums."""
        statement, outputs, shards = self.bundle.statement, self.details.outputs, self.part.shards
        for what, found in (
            ("proofs", len(self.bundle.proofs)),
            ("counts", len(statement.shard_correct)),
            ("outputs", len(outputs)),
        ):
            if found < len(shards):
                raise ProofRejected(
                    "shards", f"shard {found} is missing: there are {what} for {found} of "
                    f"{len(shards)} shards", shard=found,
                )  # fmt: skip
            require_same("shards", f"number of {what}", len(shards), found)
        for shard, counts in zip(shards, outputs, strict=True):
            try:
                counts.check(self.circuit.metrics, self.circuit.architecture.classes, shard.samples)
            except ProofRejected as error:
                raise ProofRejected(
                    "shards", f"shard {shard.index}: {error.message}", shard=shard.index
                ) from None
        sums = total(outputs)
        found_counts = tuple(counts.correct for counts in outputs)
        require_same("shards", "right predictions by shard", found_counts, statement.shard_correct)
        for name in ("per_class", "confusion", "groups"):
            require_same("shards", name, getattr(sums, name), getattr(statement, name))

    def _model(self) -> None:
        statement, model = self.bundle.statement, self.details.model
        if self.expected.model is not None:
            require_same("model", "id", self.expected.model, statement.model)
        require_same("model", "id", model.model_id, statement.model)
        architecture, kappa = self.circuit.architecture, self.circuit.kappa
        require_same("model", "architecture", architecture.digest, model.architecture)
        require_same("model", "profile", kappa, model.kappa)
        require_same("model", "rows", ModelLayout.of(architecture, kappa).rows, model.rows)

    def _well_formed(self) -> None:
        proof = self.expected.well_formed
        if proof is True:
            return
        if proof is None:
            raise MissingArtefact("the proof that the test set is well-formed was not given")
        verify_well_formed(self.expected.manifest, proof, self.options)

    def _parameters(self) -> None:
        """Check that the circuit can be proven at all, and that a proof of it is worth enough."""
        try:
            # A bundle names its circuit, and a hostile one could name an enormous one.
            require_circuit(self.circuit, self.options.memory)
            _ = self.circuit.relation.security
        except InputError as error:
            raise ProofRejected("parameters", error.message, reason=error.code) from None

    def _sumcheck(self) -> None:
        for claim in self._claims():
            claim.check_fast()

    def _plain(self) -> None:
        for claim in self._claims():
            claim.check_plainly()

    def _claims(self) -> Iterator[Claim]:
        statement, details = self.bundle.statement, self.details
        for shard, outputs, proof in zip(
            self.part.shards, details.outputs, self.bundle.proofs, strict=True
        ):
            public = accuracy_input(
                self.expected.manifest,
                shard.index,
                circuit=statement.circuit,
                model=statement.model,
                context=statement.context,
                outputs=outputs,
            )
            roots: dict[MatrixName, bytes] = {
                "shard": bytes.fromhex(shard.root),
                "model": bytes.fromhex(details.model.root),
            }
            yield Claim(shard.index, self.circuit.relation, public, roots, proof)
