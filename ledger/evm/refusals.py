"""The contract's refusals under the names that the rules have for them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError

from circuits.errors import ProofRejected, SrsInsecure, WrongContext, ZkpotError
from ledger import errors
from ledger.evm.artefact import ledger_contract
from ledger.evm_keys import keccak256

_NAMES: dict[str, type[ZkpotError]] = {
    cls.__name__: cls
    for cls in (
        errors.AlreadyRegistered,
        errors.BadNonce,
        errors.BadPins,
        errors.BelowPolicy,
        errors.InsufficientFunds,
        errors.MalformedEntry,
        errors.NotApproved,
        errors.NotAuthorised,
        errors.NotCommitted,
        errors.NullifierSpent,
        errors.OverBudget,
        SrsInsecure,
        errors.StatementMismatch,
        errors.UnknownTask,
        errors.UnknownTestset,
        errors.WrongPhase,
    )
}


@lru_cache(maxsize=1)
def _by_selector() -> dict[bytes, tuple[str, tuple[str, ...]]]:
    found = {}
    for item in ledger_contract().abi:
        if item["type"] == "error":
            types = tuple(field["type"] for field in item["inputs"])
            signature = f"{item['name']}({','.join(types)})"
            found[keccak256(signature.encode())[:4]] = (item["name"], types)
    return found


def refusal(data: bytes) -> ZkpotError:
    """Return the error that a revert stands for.

    Parameters
    ----------
    data : bytes
        What the contract returned with the revert.
    """
    name, types = _by_selector().get(data[:4], ("", ()))
    try:
        values: tuple[Any, ...] = abi.decode(types, data[4:])
    except DecodingError:
        name, values = "", ()
    if name == "ProofRejected":
        return ProofRejected(str(values[0]), "the contract does not accept it")
    if name == "WrongContext":
        return WrongContext("context", "the proof is bound to another account, task or round")
    if name in _NAMES:
        detail = f": {values[0]}" if values else ""
        return _NAMES[name](f"the contract refuses the entry: {name}{detail}")
    # Out of gas within the contract, an overflow, or arguments that it cannot read.
    return errors.EntryRefused(f"the contract reverts without a name: 0x{data.hex()}")
