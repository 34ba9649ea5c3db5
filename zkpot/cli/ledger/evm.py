"""`zkpot ledger evm`: accounts, contracts and attestations of a ledger on a chain."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from circuits.artefact_files import load_circuit
from circuits.bundle import MAX_BYTES, Bundle
from circuits.encoding import read_bytes, write_atomic
from circuits.errors import InputError
from circuits.halo2 import keys as halo2_keys
from circuits.halo2.circuit import Circuit
from ledger import Charter, ProofSubmit, blob_digest, bundle_verifier
from ledger.embedded.blobs import Blobs
from ledger.engine import Engine
from ledger.envelope import MAX_ENTRY_BYTES, SignedEntry
from verifier.halo2 import generate_contract
from verifier.verify import Options
from zkpot.backends.base import SrsChoice
from zkpot.backends.halo2 import find_srs
from zkpot.cli._output import FILE, ROUND, Output, command_output, passphrase, srs_options
from zkpot.cli.ledger._book import LedgerCommand, account, on_chain, optional, reading

if TYPE_CHECKING:
    from circuits.halo2.keys import Keys
    from ledger.evm.artefact import Compiled

RPC = click.option("--rpc", required=True, metavar="URL", help="Address of a node.")
ACCOUNT = click.option("--key", "key_file", type=FILE, required=True,
                       help="Keystore of the account that pays.")  # fmt: skip


@click.group()
def evm() -> None:
    """Keep a ledger in a contract; keystores are opened with ZKPOT_PASSPHRASE."""


@evm.command(name="account")
@click.argument("file", type=FILE)
@command_output
def make_account(file: Path, out: Output) -> None:
    """Make an account and write its encrypted keystore to FILE."""
    with optional("evm"):
        from ledger.evm.accounts import ChainAccount
    secret = passphrase()
    if secret is None:
        raise InputError("a keystore is encrypted: set ZKPOT_PASSPHRASE")
    made = ChainAccount.generate()
    made.save(file, secret.decode())
    out.text(f"account {made.address}, identity {made.public}")
    out.result({"address": made.address, "identity": made.public, "file": str(file)})


@evm.command()
@RPC
@ACCOUNT
@click.option("--name", required=True, help="What the ledger's origin starts with.")
@click.option(
    "--attester",
    "attesters",
    multiple=True,
    metavar="ADDRESS",
    help="Who attests sumcheck proofs; by default the account.",
)
@click.option(
    "--threshold", type=int, default=1, show_default=True, help="How many attesters must agree."
)
@click.option(
    "--task-owner",
    "owners",
    multiple=True,
    metavar="ADDRESS",
    help="Who may open tasks; by default the account.",
)
@click.option(
    "--max-pool", type=int, default=10**9, show_default=True, help="Most that one task may mint."
)
@click.option(
    "--insecure-dev-srs",
    "allow_insecure",
    is_flag=True,
    help="Credit proofs over a development SRS too. Fixed for ever.",
)
@command_output  # fmt: skip
def deploy(
    rpc: str, key_file: Path, name: str, attesters: tuple[str, ...], threshold: int,
    owners: tuple[str, ...], max_pool: int, allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Begin a ledger on a chain."""
    with optional("evm"):
        from ledger.evm.deploy import deploy_ledger
        from ledger.evm.node import Node
    payer = account(key_file)
    charter = Charter(
        number=0,
        governors=_identities(attesters) or (payer.public,),
        threshold=threshold,
        task_owners=_identities(owners) or (payer.public,),
        max_pool=max_pool,
        bond_entries=0,
        finder_share=Fraction(0),
    )
    made = deploy_ledger(
        Node.at(rpc), payer, name, allow_insecure_srs=allow_insecure, charter=charter
    )
    out.text(f"contract {made.address} in block {made.block}, {made.gas:,} gas")
    out.result({"contract": made.address, "block": made.block, "gas": made.gas})


@evm.command()
@RPC
@ACCOUNT
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option(
    "--modules", type=FILE, required=True, help="Folder in which `npm install solc@0.8.30` was run."
)
@srs_options
@command_output  # fmt: skip
def verifier(
    rpc: str, key_file: Path, circuit_file: Path, modules: Path, srs: Path | None,
    allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Put the verifier contract of a halo2 circuit on a chain, as the owner of its task."""
    with optional("evm"):
        from ledger.evm.deploy import deploy_verifier
        from ledger.evm.node import Node
    _, compiled = _compiled(circuit_file, modules, srs, allow_insecure)
    made = deploy_verifier(Node.at(rpc), account(key_file), compiled)
    out.text(f"verifier {made.address}, {len(compiled.runtime):,} bytes, {made.gas:,} gas")
    out.result({"verifier": made.address, "bytes": len(compiled.runtime), "gas": made.gas})


@evm.command(cls=LedgerCommand)
@reading
@click.option("--key", "key_file", type=FILE, required=True, help="Keystore of the attester.")
@click.option("--task", "task_id", required=True)
@ROUND
@click.option("--submitter", required=True, metavar="ADDRESS", help="Who will submit the bundle.")
@click.option("--bundle", type=FILE, required=True)
@click.option("--out", "file", type=FILE, required=True, help="File for the attestation.")
@command_output
def attest(
    book: Engine, key_file: Path, task_id: str, round_: int, submitter: str, bundle: Path,
    file: Path, out: Output,
) -> None:  # fmt: skip
    """Verify a sumcheck bundle here and sign that it was, for a contract that cannot."""
    with optional("evm"):
        from ledger.evm import attest as attestations
    content = read_bytes(bundle, "bundle", MAX_BYTES)
    claimed = Bundle.decode(content)
    body = ProofSubmit(
        task_id, round_, blob_digest(content), claimed.statement, claimed.srs_insecure
    )
    (who,) = _identities((submitter,))
    state = book.state
    entry = SignedEntry.by_chain(body, origin=state.origin, nonce=state.nonce(who), account=who)
    verify = bundle_verifier(book, Options())
    signature = attestations.attest(state, content, entry, verify, account(key_file))
    write_atomic(file, signature.hex().encode() + b"\n")
    out.text(f"attestation in {file}; give it to {submitter}")
    out.result({"file": str(file), "signature": signature.hex()})


@evm.command(name="approve-task", cls=LedgerCommand)
@reading
@click.argument("proposal", type=FILE)
@click.option("--key", "key_file", type=FILE, required=True, help="Keystore of the governor.")
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--verifier", "address", required=True, metavar="ADDRESS")
@click.option(
    "--modules", type=FILE, required=True, help="Folder in which `npm install solc@0.8.30` was run."
)
@click.option("--out", "file", type=FILE, required=True, help="File for the approval.")
@srs_options
@command_output  # fmt: skip
def approve_task(
    book: Engine, proposal: Path, key_file: Path, circuit_file: Path, testset: Path, address: str,
    modules: Path, file: Path, srs: Path | None, allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Derive key and verifier of a proposed halo2 task, and sign that its contract is that."""
    chain = on_chain(book, "approving a task")
    entry = SignedEntry.decode(read_bytes(proposal, "proposal", MAX_ENTRY_BYTES))
    keys, compiled = _compiled(circuit_file, modules, srs, allow_insecure)
    files = (read_bytes(circuit_file, "circuit"), read_bytes(testset, "manifest"))
    signature = chain.approve(
        entry,
        address.removeprefix("0x").lower(),
        files,
        vk=keys.verifying_key_digest,
        runtime=compiled.runtime,
        governor=account(key_file),
    )
    write_atomic(file, signature.hex().encode() + b"\n")
    out.text(f"approval of task {entry.digest} in {file}")
    out.result({"file": str(file), "task": entry.digest})


@evm.command()
@click.argument("folder", type=FILE)
@click.argument("paths", metavar="FILES...", type=FILE, nargs=-1, required=True)
@command_output
def keep(folder: Path, paths: tuple[Path, ...], out: Output) -> None:
    """Put public files into the folder of blobs: a chain has no room for them.

    Who commits to a halo2 task, or audits, needs its circuit and the manifest of its test set.
    """
    contents = [read_bytes(path, "file", MAX_BYTES) for path in paths]
    Blobs.create(folder)
    kept = {str(path): Blobs(folder).put(data) for path, data in zip(paths, contents, strict=True)}
    for path, name in kept.items():
        out.text(f"{path} is blob {name}")
    out.result({"blobs": kept})


@evm.command(cls=LedgerCommand)
@reading
@click.option("--no-proofs", is_flag=True, help="Do not verify the proofs again.")
@command_output
def audit(book: Engine, no_proofs: bool, out: Output) -> None:
    """Read the whole chain again, replay it, and verify every proof again."""
    chain = on_chain(book, "this audit (a folder has `zkpot ledger audit`)")
    report = chain.audit(None if no_proofs else bundle_verifier(chain, Options()))
    out.result(report.to_dict())
    report.require()
    proofs = "proofs NOT verified" if no_proofs else f"{report.proofs} proofs verified again"
    out.text(f"clean: {report.size} entries replayed, {proofs}, root {report.root.hex()}")
    if report.unavailable:
        out.warn(f"{report.unavailable} bundles could not be had, and were NOT verified")


def _compiled(
    circuit_file: Path, modules: Path, srs: Path | None, allow_insecure: bool
) -> tuple[Keys, Compiled]:
    """Derive the keys of a halo2 circuit, and compile its verifier."""
    with optional("evm"):
        from ledger.evm.deploy import compile_verifier
    circuit = load_circuit(circuit_file)
    if not isinstance(circuit, Circuit):
        raise InputError(f"{circuit_file} is for {circuit.backend}; only halo2 verifies on a chain")
    info = find_srs(circuit.k, SrsChoice(srs, allow_insecure))
    keys = halo2_keys.derive(circuit, info.path, proving=False)
    return keys, compile_verifier(generate_contract(keys, info.path).source, modules)


def _identities(addresses: tuple[str, ...]) -> tuple[str, ...]:
    with optional("evm"):
        from ledger.evm.accounts import identity
    return tuple(sorted({identity(address) for address in addresses}))
