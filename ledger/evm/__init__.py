"""The ledger on an EVM chain: a contract that keeps the rules, and an engine that checks it.

Needs the extra ``evm``. `EvmLedger` is the engine; docs/evm.md says what it trusts.
"""

from circuits.errors import InputError

try:
    import eth_account
    import web3
except ImportError as error:
    raise InputError(
        f"{error.name} is not installed: this needs the extra, pip install 'zkpot[evm]'"
    ) from None

__all__ = ["eth_account", "web3"]
