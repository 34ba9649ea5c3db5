"""`zkpot ledger`: one command for each thing that can be done to a ledger."""

from __future__ import annotations

import click

from zkpot.cli.ledger import evm, governance, identities, models, money, moving, records, tasks

__all__ = ["ledger"]


@click.group()
def ledger() -> None:
    """Keep a ledger that credits verified proofs only.

    LEDGER is a folder, or the URL of a validator. Key files are encrypted if the environment
    variable ZKPOT_PASSPHRASE is set.
    """


for _command in (
    governance.init,
    governance.charter,
    identities.keygen,
    identities.identity,
    identities.rotate,
    identities.revoke,
    identities.approve_revocation,
    tasks.data,
    tasks.task,
    tasks.commit,
    tasks.release,
    tasks.submit,
    tasks.close,
    money.balance,
    money.transfer,
    money.bond,
    money.bond_return,
    money.slash,
    models.release_model,
    models.attest_prediction,
    models.attest_audit,
    records.show,
    records.audit,
    records.receipt,
    records.check_receipt,
    evm.evm,
    moving.backup,
    moving.restore,
    moving.export,
    moving.import_,
):
    ledger.add_command(_command)
