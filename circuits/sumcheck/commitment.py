"""Committed matrices: rows of values under random coefficients, columns under a Merkle root.

docs/protocol.md, section 3. The shard and the model are committed by their owners, who keep values,
a seed and the leaf hashes; the matrix of a proof is made for it with fresh randomness.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.encoding import json_digest
from circuits.errors import CorruptedArtefact, UnsafeConfiguration
from circuits.sumcheck.columns import SALT_BYTES, Hashes, Tree, leaf_hashes
from circuits.sumcheck.field import P
from circuits.sumcheck.field_arrays import from_signed
from circuits.sumcheck.field_jit import MODULUS, IntegerArray, U64Array
from circuits.sumcheck.ntt_code import encode
from circuits.sumcheck.params import BLOWUP, Profile
from circuits.sumcheck.proof_bytes import Opening
from circuits.sumcheck.randomness import Randomness

Header: TypeAlias = dict[str, int | bool | str]

MASK_ROWS = 6
"""The last rows of a proof matrix: m0, m1, a0, a1, b0, b1 (section 6.1)."""

_CHUNK_WORDS = 1 << 23  # of codewords, when they are made again to open them
_MIN_CHUNK_ROWS = 16


class Matrix:
    """A committed matrix, with all that is needed to open it. Printed, it shows no secret.

    Made by `commit`, `restore` and `commit_proof`.

    Parameters
    ----------
    values : uint64 array [rows, N]
        The slots.
    tail : uint64 array [rows, T]
        The random coefficients of the rows.
    salts : uint8 array [L, 32]
    tree : Tree
        Over the hashed columns.
    codeword : uint64 array [L, rows], optional
        Without it, rows are encoded again when columns are opened.
    """

    def __init__(
        self,
        values: U64Array,
        tail: U64Array,
        salts: Hashes,
        tree: Tree,
        codeword: U64Array | None = None,
    ) -> None:
        self.values = values
        self.tail = tail
        self._salts = salts
        self._tree = tree
        self._codeword = codeword

    def __repr__(self) -> str:
        return f"<Matrix of {self.rows} rows under {self.root.hex()}>"

    @property
    def profile(self) -> Profile:
        """The shape of its rows."""
        return Profile(self.values.shape[1].bit_length() - 1)

    @property
    def rows(self) -> int:
        """Rows, those of masks included."""
        return len(self.values)

    @property
    def root(self) -> bytes:
        """The Merkle root of the columns."""
        return self._tree.root

    @property
    def leaves(self) -> Hashes:
        """The leaf hashes, uint8 [L, 32], which `restore` takes. They give nothing away."""
        return self._tree.leaves

    def open(self, positions: NDArray[np.int64]) -> Opening:
        """Return salts, columns and multiproof (docs/protocol.md, sections 6.4 and 6.5).

        Parameters
        ----------
        positions : int64 array
            Sorted, each once.

        Raises
        ------
        CorruptedArtefact
            If a column is not the committed one: values or seed are others than at the time.
        """
        salts, columns = self._salts[positions], self._columns(positions)
        if not np.array_equal(leaf_hashes(columns, salts), self.leaves[positions]):
            raise CorruptedArtefact(
                "the values and the seed are not those of the commitment", root=self.root.hex()
            )
        return Opening(salts, columns, self._tree.multiproof(positions))

    def _columns(self, positions: NDArray[np.int64]) -> U64Array:
        if self._codeword is not None:
            return self._codeword[positions]
        out = np.empty((len(positions), self.rows), np.uint64)
        step = max(_CHUNK_WORDS // len(self._salts), _MIN_CHUNK_ROWS)
        for start in range(0, self.rows, step):
            rows = slice(start, start + step)
            out[:, rows] = encode(self.values[rows], self.tail[rows], BLOWUP)[positions]
        return out


def commit(values: U64Array, seed: bytes) -> Matrix:
    """Commit to the matrix of an owner (docs/protocol.md, sections 3.2 and 3.3).

    Parameters
    ----------
    values : uint64 array [rows, N]
        Field elements.
    seed : bytes
        32 secret random bytes. Values, seed and leaf hashes restore the matrix.
    """
    tail, salts = _owned_randomness(values, seed)
    return Matrix(values, tail, salts, Tree(leaf_hashes(encode(values, tail, BLOWUP), salts)))


def restore(values: U64Array, seed: bytes, leaves: Hashes) -> Matrix:
    """Return the matrix that `commit` made, without encoding and hashing it again.

    The root is that of the leaf hashes. That values and seed belong to them is checked, for
    the columns concerned, when the matrix is opened.

    Raises
    ------
    CorruptedArtefact
        If there are not as many leaf hashes as columns.
    """
    tail, salts = _owned_randomness(values, seed)
    if leaves.shape != salts.shape:
        raise CorruptedArtefact(f"leaf hashes of shape {leaves.shape}, not {salts.shape}")
    return Matrix(values, tail, salts, Tree(leaves))


def commit_proof(values: U64Array) -> Matrix:
    """Commit to the matrix of a proof, with fresh randomness (docs/protocol.md, section 6.1).

    Parameters
    ----------
    values : uint64 array [rows + 6, N]
        Field elements. The last six rows are overwritten: they become the masks.
    """
    profile, randomness = _profile(values), Randomness()
    tail = randomness.elements(len(values), profile.tail)
    # Uniform values and a uniform tail are a uniform polynomial. a0, a1 sum to zero over H, ...
    masks = values[-MASK_ROWS:]
    masks[:] = randomness.elements(*masks.shape)
    for row in masks[2:4]:
        row[0] = -sum(row[1:].tolist()) % MODULUS
    # ... and b0, b1 lack the highest coefficient, which is the last of the tail.
    tail[-2:, -1] = 0
    salts = _salts(profile, randomness)
    codeword = encode(values, tail, BLOWUP)
    return Matrix(values, tail, salts, Tree(leaf_hashes(codeword, salts)), codeword)


def row_count(features: int, a: int, profile: Profile) -> int:
    """Return the rows that features of 2^a elements take (docs/protocol.md, section 3.1)."""
    return -(-(features << a) // profile.row_slots)


def feature_rows(features: IntegerArray, profile: Profile) -> U64Array:
    """Return features one after the other in rows (docs/protocol.md, section 3.1).

    Parameters
    ----------
    features : integer array [F, 2**a]
        Field elements if uint64, otherwise small integers; 2^a at most N.
    profile : Profile
        Gives N.

    Returns
    -------
    uint64 array [rows, N]
        Unused slots are zero.
    """
    count, samples = features.shape
    rows = np.zeros((row_count(count, samples.bit_length() - 1, profile), profile.row_slots), "u8")
    elements = features if features.dtype == np.uint64 else from_signed(features)
    rows.reshape(-1)[: elements.size] = elements.reshape(-1)
    return rows


def shard_header(
    *,
    kappa: int,
    a: int,
    samples: int,
    features: int,
    classes: int,
    groups: int,
    bits: int,
    signed: bool,
    exponent: int,
    budget: int,
    rows: int,
) -> Header:
    """Return the header of a shard's commitment (docs/protocol.md, sections 3.4 and 3.5).

    Parameters
    ----------
    kappa, a : int
        The profile; there is room for 2^a samples.
    samples, features, classes, groups : int
        n, F, C and Gr.
    bits, signed, exponent : int, bool, int
        The format of the inputs and their exponent.
    budget : int
        Proofs that the shard may take part in, that of its well-formedness included.
    rows : int
        Of the matrix.

    Raises
    ------
    UnsafeConfiguration
        If the numbers do not go together, or the budget is more than the profile can hide.
    """
    profile = Profile(kappa)
    if not 0 <= a <= kappa or not 1 <= samples <= 1 << a:
        raise UnsafeConfiguration(
            f"{samples} samples do not fit features of 2^{a} in rows of 2^{kappa}"
        )
    if rows != row_count(features + classes + groups, a, profile):
        raise UnsafeConfiguration(f"{rows} rows are not what the features of a shard take")
    _require_budget(profile, budget, least=2)
    return {
        "kind": "shard",
        "kappa": kappa,
        "a": a,
        "samples": samples,
        "features": features,
        "classes": classes,
        "groups": groups,
        "bits": bits,
        "signed": signed,
        "exponent": exponent,
        "budget": budget,
        "rows": rows,
    }


def model_header(*, kappa: int, architecture: str, budget: int, rows: int) -> Header:
    """Return the header of a model's commitment (docs/protocol.md, sections 3.4 and 3.6).

    Parameters
    ----------
    kappa : int
        The profile.
    architecture : str
        Digest, hex.
    budget : int
        Proofs that the model may take part in.
    rows : int
        Of weights and of biases.

    Raises
    ------
    UnsafeConfiguration
        If the budget is more than the profile can hide.
    """
    _require_budget(Profile(kappa), budget, least=1)
    return {
        "kind": "model",
        "kappa": kappa,
        "architecture": architecture,
        "budget": budget,
        "rows": rows,
    }


def commitment_id(header: Header, root: bytes) -> str:
    """Return the id of a commitment, hex (docs/protocol.md, section 3.4)."""
    return json_digest("commitment", {"header": header, "root": root.hex()})


def _require_budget(profile: Profile, budget: int, *, least: int) -> None:
    if not least <= budget <= profile.max_openings:
        raise UnsafeConfiguration(
            f"a budget of {budget} proofs: it must be {least} or more, and at kappa "
            f"{profile.kappa} a commitment can take part in {profile.max_openings}",
            budget=budget,
            most=profile.max_openings,
        )


def _profile(values: U64Array) -> Profile:
    """Return the profile of a matrix, having checked that it is one of field elements."""
    if values.dtype != np.uint64 or values.ndim != 2 or np.any(values >= P):
        raise ValueError("a matrix is one of field elements")
    profile = Profile(values.shape[1].bit_length() - 1)
    if values.shape[1] != profile.row_slots:
        raise ValueError(f"a row of {values.shape[1]} slots")
    return profile


def _owned_randomness(values: U64Array, seed: bytes) -> tuple[U64Array, Hashes]:
    """Return the tail and the salts of an owner's matrix.

    They depend on the values too. Two matrices with one tail would show their difference to
    whoever opens both, and no care with seeds is needed to rule that out.
    """
    profile = _profile(values)
    contents = hashlib.sha256(np.ascontiguousarray(values, "<u8").data).hexdigest()
    randomness = Randomness(seed, f"matrix {len(values)} {profile.kappa} {contents}")
    tail = randomness.elements(len(values), profile.tail)
    return tail, _salts(profile, randomness)


def _salts(profile: Profile, randomness: Randomness) -> Hashes:
    return randomness.octets(profile.positions * SALT_BYTES).reshape(-1, SALT_BYTES)
