"""``zkpot ledger``: keys, entries, submissions, balances and audits."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any

import click

from circuits.artefact_files import load_circuit, load_model
from circuits.bundle import MAX_BYTES, Bundle
from circuits.encoding import read_bytes, write_atomic
from circuits.statement import Context
from circuits.sumcheck.wellformed import MAX_BYTES as MAX_WELL_FORMED
from circuits.sumcheck.wellformed import path_beside
from circuits.testset import Manifest
from ledger import Ledger, Receipt, Signer, VerifierKey, blob_digest, bundle_verifier
from ledger.entries import (
    Entry,
    IdentityRegister,
    ModelCommit,
    ProofSubmit,
    TaskOpen,
    TestsetRelease,
)
from ledger.note import check_name
from ledger.policy import Policy
from ledger.proofs import registration
from verifier.verify import Options
from zkpot import backends
from zkpot.backends.base import SrsChoice
from zkpot.cli._output import (
    FILE,
    ROUND,
    Output,
    Ratio,
    command_output,
    load_key,
    passphrase,
    public_key,
    srs_options,
)

LOG_KEY = "log.key"
_NOTE_LIMIT = 1 << 16


@click.group()
def ledger() -> None:
    """Keep a ledger that credits verified proofs only.

    Key files are encrypted if the environment variable ZKPOT_PASSPHRASE is set.
    """


def _signed(function: Callable[..., None]) -> Callable[..., None]:
    """Add the ledger folder, the author's key and the log's key."""

    @click.argument("folder", type=FILE)
    @click.option("--key", "key_file", type=FILE, required=True, help="Your key.")
    @click.option("--log-key", type=FILE, help=f"The log's key, by default {LOG_KEY} in FOLDER.")
    @wraps(function)
    def wrapped(*, folder: Path, key_file: Path, log_key: Path | None, **kwargs: Any) -> None:
        author = load_key(key_file)
        log = load_key(log_key or folder / LOG_KEY)
        with Ledger.open(folder, log) as opened:
            function(book=opened, author=author, **kwargs)

    return wrapped


def _appended(out: Output, receipt: Receipt, what: str, **values: object) -> None:
    out.text(f"entry {receipt.index}: {what}")
    out.result({"entry": receipt.index, **values})


def _append(
    book: Ledger, author: Signer, body: Entry, blobs: tuple[bytes, ...] = ()
) -> tuple[Receipt, str]:
    entry = book.sign(body, author)
    return book.append(entry, blobs), entry.digest


@ledger.command()
@click.argument("file", type=FILE)
@command_output
def keygen(file: Path, out: Output) -> None:
    """Make an Ed25519 key: FILE (secret) and FILE.pub."""
    signer, secret = Signer.generate(), passphrase()
    signer.save(file, secret)
    public = file.with_name(file.name + ".pub")
    write_atomic(public, signer.public.encode() + b"\n")
    out.text(f"key {signer.public}")
    out.text(f"  publish {public}, keep {file} ({'encrypted' if secret else 'not encrypted'})")
    out.result({"public": signer.public, "file": str(file), "encrypted": secret is not None})


@ledger.command()
@click.argument("folder", type=FILE)
@click.option("--origin", required=True, help="Name no other ledger has, such as a URL.")
@click.option("--log-key", type=FILE, help="Key of the log; by default one is made in FOLDER.")
@click.option(
    "--task-owner", "owners", multiple=True, help="Who may open tasks; by default the log's key."
)
@click.option(
    "--insecure-dev-srs",
    "allow_insecure",
    is_flag=True,
    help="Credit proofs over a development SRS too. Fixed for ever.",
)
@command_output
def init(
    folder: Path, origin: str, log_key: Path | None, owners: tuple[str, ...],
    allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Create a ledger in FOLDER."""
    # What can be refused is refused before a key is made.
    check_name(origin)
    keys = [public_key(owner) for owner in owners]
    if log_key is None:
        log_key = folder / LOG_KEY
        if not log_key.exists():
            Signer.generate().save(log_key, passphrase())
    signer = load_key(log_key)
    with Ledger.init(
        folder, origin, signer, allow_insecure_srs=allow_insecure, task_owners=keys
    ) as made:
        out.text(f"ledger {origin} in {folder}")
        out.text(f"  log key (hand it out): {made.key}")
        if allow_insecure:
            out.warn("it credits proofs over a development SRS, which its maker can forge")
        out.result({"origin": origin, "vkey": str(made.key), "allow_insecure_srs": allow_insecure})


@ledger.command()
@_signed
@click.option("--name", required=True, help="Name for people.")
@command_output
def identity(book: Ledger, author: Signer, name: str, out: Output) -> None:
    """Register your key."""
    receipt, _ = _append(book, author, IdentityRegister(name))
    _appended(out, receipt, f"{name} is {author.public}", identity=author.public)


@ledger.command()
@_signed
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option(
    "--well-formed",
    type=FILE,
    help="sumcheck: proof that the set is well-formed; by default the file beside the manifest.",
)
@command_output
def data(
    book: Ledger, author: Signer, testset: Path, well_formed: Path | None, out: Output
) -> None:
    """Register a committed test set, as its evaluator; that it is well-formed is verified."""
    manifest = Manifest.load(testset)
    blob, proof = manifest.to_bytes(), None
    if "sumcheck" in manifest.backends:
        path = well_formed or path_beside(testset)
        proof = read_bytes(path, "proof that the test set is well-formed", MAX_WELL_FORMED)
    body = registration(blob, proof, Options())
    receipt, _ = _append(book, author, body, (blob, proof) if proof else (blob,))
    _appended(out, receipt, f"test set {manifest.testset_id}", testset=manifest.testset_id)


@ledger.command()
@_signed
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--title", required=True)
@click.option(
    "--minimum",
    type=Ratio(),
    default="1/2",
    show_default=True,
    help="Least accuracy that is taken, and from which gains count.",
)
@click.option(
    "--eta",
    type=Ratio(),
    default="1/100",
    show_default=True,
    help="Least gain over the best credited score that is paid.",
)
@click.option("--pool", type=int, default=1000, show_default=True, help="Most that is ever paid.")
@click.option("--submissions", type=int, default=1, show_default=True, help="For each identity.")
@click.option("--openings", type=int, help="Proofs in all, by default the set's budget.")
@click.option(
    "--prover",
    type=click.Choice(["contributor", "evaluator"]),
    default="contributor",
    show_default=True,
    help="Who proves: the set is released to contributors, or they "
    "hand their model to the evaluator.",
)
@click.option("--rounds", type=int, default=1, show_default=True)
@srs_options
@command_output
def task(
    book: Ledger, author: Signer, circuit_file: Path, testset: Path, title: str,
    minimum: Fraction, eta: Fraction, pool: int, submissions: int, openings: int | None,
    prover: str, rounds: int, srs: Path | None, allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Open a task; for halo2 the verifying key is derived here and pinned."""
    circuit, manifest = load_circuit(circuit_file), Manifest.load(testset)
    backend = backends.named(circuit.backend)
    backend.require_testset(circuit, manifest)
    with out.progress() as progress:
        progress("keys", 0, 1)
        pins = backend.pins(circuit, SrsChoice(srs, allow_insecure))
        progress("keys", 1, 1)
    blob = circuit.encode()
    policy = Policy(
        minimum_accuracy=minimum,
        eta=eta,
        pool=pool,
        submissions_per_identity=submissions,
        openings=manifest.proofs if openings is None else openings,
    )
    body = TaskOpen(
        title=title,
        backend=backend.name,
        circuit=circuit.digest,
        vk=pins.verifying_key,
        srs=pins.srs,
        architecture=blob_digest(blob),
        testset=manifest.testset_id,
        prover=prover,
        rounds=rounds,
        policy=policy,
    )
    receipt, digest = _append(book, author, body, (blob,))
    _appended(out, receipt, f"task {digest}", task=digest, vk=pins.verifying_key)


@ledger.command()
@_signed
@click.option("--task", "task_id", required=True)
@ROUND
@click.option("--model", type=FILE, required=True, help="Public commitment to the model.")
@command_output
def commit(
    book: Ledger, author: Signer, task_id: str, round_: int, model: Path, out: Output
) -> None:
    """Commit to a model, before the test set is released."""
    commitment = load_model(model)
    backends.named(commitment.backend).check_commitment(commitment)
    context = Context(author.public, task_id, round_, book.state.origin)
    body = ModelCommit(task_id, round_, commitment.model_id, context.digest)
    receipt, _ = _append(book, author, body)
    _appended(out, receipt, f"model {commitment.model_id}", context=context.digest)


@ledger.command()
@_signed
@click.option("--task", "task_id", required=True)
@ROUND
@command_output
def release(book: Ledger, author: Signer, task_id: str, round_: int, out: Output) -> None:
    """Close the commitments of a round, as the evaluator; then hand out the test set's secret."""
    receipt, _ = _append(book, author, TestsetRelease(task_id, round_))
    _appended(out, receipt, f"round {round_} is released; no model is taken any more", task=task_id)


@ledger.command()
@_signed
@click.option("--task", "task_id", required=True)
@ROUND
@click.option("--bundle", type=FILE, required=True)
@click.option("--srs", type=FILE, help="SRS file; by default the one of the local store.")
@command_output
def submit(
    book: Ledger, author: Signer, task_id: str, round_: int, bundle: Path, srs: Path | None,
    out: Output,
) -> None:  # fmt: skip
    """Verify a proof bundle and, if it holds, log it and credit its submitter."""
    content = read_bytes(bundle, "bundle", MAX_BYTES)
    claimed = Bundle.decode(content)
    body = ProofSubmit(
        task_id, round_, blob_digest(content), claimed.statement, claimed.srs_insecure
    )
    with out.progress() as progress:
        options = Options(srs=srs, progress=lambda name: progress(name, 0, 1))
        # The same proof handed in twice, as after a lost answer, is one submission.
        entry = book.submission(body, author.public) or book.sign(body, author)
        receipt = book.submit(content, entry, bundle_verifier(book, options))
    paid = book.credited(receipt)
    _appended(
        out, receipt,
        f"{claimed.statement.correct} of {claimed.statement.samples} verified; credited {paid}",
        credited=paid, balance=book.balance(author.public),
    )  # fmt: skip


@ledger.command()
@click.argument("folder", type=FILE)
@click.argument("who", required=False)
@command_output
def balance(folder: Path, who: str | None, out: Output) -> None:
    """Show the balance of one identity, or of all."""
    with Ledger.open(folder) as book:
        names = book.state.names
        shown = {public_key(who): book.balance(public_key(who))} if who else dict(book.balances())
    for key, amount in sorted(shown.items()):
        out.text(f"  {amount:>8}  {names.get(key, '?')}  {key}")
    if not shown:
        out.text("nobody has any credit")
    out.result({"balances": shown})


@ledger.command()
@click.argument("folder", type=FILE)
@click.option("--no-proofs", is_flag=True, help="Do not verify the proofs again.")
@click.option("--vkey", help="The log's key as handed out; else the ledger is taken at its word.")
@click.option("--srs", type=FILE, help="SRS file; by default the one of the local store.")
@command_output
def audit(folder: Path, no_proofs: bool, vkey: str | None, srs: Path | None, out: Output) -> None:
    """Replay the log from its first entry, and verify every proof again."""
    with Ledger.open(folder) as book, out.progress() as progress:
        options = Options(srs=srs, progress=lambda name: progress(name, 0, 1))
        verify = None if no_proofs else bundle_verifier(book, options)
        report = book.audit(verify, VerifierKey.parse(vkey) if vkey else None)
    out.result(report.to_dict())
    report.require()
    proofs = "proofs NOT verified" if no_proofs else f"{report.proofs} proofs verified again"
    out.text(f"clean: {report.size} entries replayed, {proofs}, root {report.root.hex()}")


@ledger.command()
@click.argument("folder", type=FILE)
@command_output
def show(folder: Path, out: Output) -> None:
    """List the entries of the log, and what was refused."""
    with Ledger.open(folder) as book:
        entries, refused, names = book.entries(), book.refusals(), book.state.names
    for index, entry in enumerate(entries):
        # Names are not unique, so the key is shown as well.
        author = f"{names[entry.signer]} {entry.signer[:8]}" if entry.signer else "the rules"
        out.text(f"  {index:>5}  {entry.body.type:<18} {author:<26} {entry.digest}")
    for item in refused:
        who = names.get(item.signer, "?")
        out.text(f"  refused  {item.type:<16} {who:<18} [{item.code}] {item.message}")
    out.result(
        {
            "entries": [
                {"index": i, "type": e.body.type, "signer": e.signer, "digest": e.digest}
                for i, e in enumerate(entries)
            ],
            "refusals": [
                {"code": r.code, "type": r.type, "signer": r.signer, "message": r.message}
                for r in refused
            ],
        }
    )


@ledger.command()
@click.argument("folder", type=FILE)
@click.argument("entry", type=int)
@click.option("--out", "file", type=FILE, required=True, help="File for the receipt.")
@command_output
def receipt(folder: Path, entry: int, file: Path, out: Output) -> None:
    """Write the receipt of an entry: it verifies offline, with the log's key alone."""
    with Ledger.open(folder) as book:
        write_atomic(file, book.receipt(entry).encode().encode())
        out.text(f"receipt of entry {entry} in {file}; check it with --vkey {book.key}")
        out.result({"file": str(file), "vkey": str(book.key)})


@ledger.command(name="check-receipt")
@click.argument("file", type=FILE)
@click.option("--vkey", required=True, help="The log's key as it was handed out.")
@command_output
def check_receipt(file: Path, vkey: str, out: Output) -> None:
    """Check a receipt offline."""
    text = read_bytes(file, "receipt", _NOTE_LIMIT * 4).decode(errors="replace")
    parsed = Receipt.parse(text)
    entry = parsed.verify(VerifierKey.parse(vkey))
    out.text(f"good: entry {parsed.index} is the {entry.body.type} {entry.digest}")
    out.result({"index": parsed.index, "type": entry.body.type, "digest": entry.digest})
