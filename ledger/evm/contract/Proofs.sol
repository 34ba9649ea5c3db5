// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Canonical} from "./Canonical.sol";
import {Digests} from "./Digests.sol";
import {Halo2Proofs} from "./Halo2Proofs.sol";
import {Ladder} from "./Ladder.sol";
import {Tasks} from "./Tasks.sol";

/// Accepted proofs and what they earn. halo2 proofs are verified here; for sumcheck proofs, k of
/// n attesters sign that they verified them. The rules and their order are ledger/rules'.
abstract contract Proofs is Tasks {
    error WrongContext();
    error NotCommitted();
    error NullifierSpent(uint64 index);
    error BelowPolicy();
    error SrsInsecure();

    event ProofSubmit(
        uint64 index,
        address signer,
        uint64 nonce,
        bytes32 task,
        uint32 round,
        bytes32 bundle,
        bytes32 statement,
        Digests.Claim claim,
        bool srsInsecure
    );
    event Credit(uint64 index, bytes32 task, address identity, uint64 amount, uint64 proof);

    /// An entry holds 65,535 bytes (ledger.envelope), of which a statement leaves the others some:
    /// a mirror could not go on after one that does not fit.
    uint256 private constant _MOST_STATEMENT = 60_000;

    bool public allowInsecureSrs;
    mapping(address => uint256) public balances;
    uint256 public minted;
    /// Of a spent nullifier, one more than the index of the proof that spent it.
    mapping(bytes32 => uint64) public spentBy;
    /// Accepted proofs, by keccak256 of task and account.
    mapping(bytes32 => uint64) private _submissions;

    /// What a proof is about, put together once.
    struct Submission {
        bytes32 id;
        uint32 round;
        uint64 nonce;
        uint64 index;
        bytes32 bundle;
        bool insecure;
        bytes statement;
    }

    /// Submit the halo2 proofs of all shards, in order. Nothing of them is believed: the model's
    /// name comes from the commitment in them, the set's commitments are pinned, and the public
    /// instances are made of the claimed counts, the set's size and this very sender's context.
    function submitHalo2(
        uint64 nonce,
        bytes32 id,
        uint32 round,
        Digests.Claim calldata claim,
        bytes[] calldata proofs,
        bytes calldata circuit
    ) external {
        Submission memory s = _begin(nonce, id, round, claim, false);
        Task storage task = _tasks[id];
        bool tables = claim.confusion.length + claim.groups.length + claim.perClass.length != 0;
        if (tables) revert Halo2Proofs.ProofRejected("format");
        if (Digests.ofCircuit(circuit) != task.circuit) revert Halo2Proofs.ProofRejected("circuit");
        s.insecure = task.srs != Halo2Proofs.ceremony(task.halo2.k);
        if (s.insecure && !allowInsecureSrs) revert SrsInsecure();
        uint256 samples = testsets[task.testset].samples;
        Halo2Proofs.check(task.halo2, task.codehash, task.srs, samples, claim, proofs);
        s.bundle = Digests.ofBundle(circuit, s.insecure, s.statement, proofs);
        _accept(s, claim);
    }

    /// Submit a sumcheck bundle with the signatures of attesters, in ascending order of accounts.
    function submitAttested(
        uint64 nonce,
        bytes32 id,
        uint32 round,
        Digests.Claim calldata claim,
        bytes32 bundle,
        bytes[] calldata signatures
    ) external {
        Submission memory s = _begin(nonce, id, round, claim, true);
        s.bundle = bundle;
        bytes32 statement = Digests.ofStatement(s.statement);
        _requireApproved(attestation(id, round, msg.sender, statement, bundle), signatures);
        _accept(s, claim);
    }

    /// The cheap rules, in the order of ledger/rules, before anything is verified.
    function _begin(
        uint64 nonce,
        bytes32 id,
        uint32 round,
        Digests.Claim calldata claim,
        bool sumcheck
    ) private returns (Submission memory s) {
        _checkForm(claim);
        s.index = _enter(nonce);
        (s.id, s.round, s.nonce) = (id, round, nonce);
        Task storage task = _task(id);
        Testset storage testset = testsets[task.testset];
        if (round >= task.released) revert WrongPhase();
        if (claim.context != Digests.ofContext(origin, msg.sender, id, round)) revert WrongContext();
        if (sumcheck != task.sumcheck) revert StatementMismatch();
        if (claim.correct > testset.samples) revert MalformedEntry();
        if (!_commits[_commitKey(id, round, claim.model)]) revert NotCommitted();
        uint64 spent = spentBy[Digests.ofNullifier(id, round, claim.model, task.testset)];
        if (spent != 0) revert NullifierSpent(spent - 1);
        if (
            _submissions[_submissionKey(id)] >= task.perIdentity || task.spent >= task.openings
                || testset.spent >= testset.openings
        ) revert OverBudget();
        if (Ladder.belowMinimum(task.rungs, claim.correct, testset.samples)) revert BelowPolicy();
        s.statement =
            Digests.statement(sumcheck, task.circuit, task.testset, testset.samples, claim);
        if (s.statement.length > _MOST_STATEMENT) revert MalformedEntry();
    }

    function _checkForm(Digests.Claim calldata claim) private pure {
        // Each count takes two bytes at least; what cannot fit is refused before it costs more.
        uint256 least = 2 * claim.shardCorrect.length + claim.confusion.length
            + claim.groups.length + claim.perClass.length;
        if (least > _MOST_STATEMENT) revert MalformedEntry();
        uint256 total = 0;
        for (uint256 i = 0; i < claim.shardCorrect.length; i++) total += claim.shardCorrect[i];
        _requireCount(claim.correct, 0);
        if (
            total != claim.correct || !Canonical.isTable(claim.confusion)
                || !Canonical.isTable(claim.groups) || !Canonical.isTable(claim.perClass)
        ) revert MalformedEntry();
    }

    /// Spends the nullifier for ever (3) and pays what the ladder gives (1, 2).
    function _accept(Submission memory s, Digests.Claim calldata claim) private {
        Task storage task = _tasks[s.id];
        Testset storage testset = testsets[task.testset];
        spentBy[Digests.ofNullifier(s.id, s.round, claim.model, task.testset)] = s.index + 1;
        _submissions[_submissionKey(s.id)]++;
        task.spent++;
        testset.spent++;
        emit ProofSubmit(
            s.index,
            msg.sender,
            s.nonce,
            s.id,
            s.round,
            s.bundle,
            Digests.ofStatement(s.statement),
            claim,
            s.insecure
        );
        uint256 step = Ladder.step(task.rungs, claim.correct, testset.samples, task.step);
        uint256 amount = Ladder.paidAt(task.rungs, step) - Ladder.paidAt(task.rungs, task.step);
        if (amount == 0) return;
        task.step = uint64(step);
        task.minted += uint64(amount);
        assert(task.minted <= task.rungs.pool);
        minted += amount;
        balances[msg.sender] += amount;
        emit Credit(size++, s.id, msg.sender, uint64(amount), s.index);
    }

    function _submissionKey(bytes32 id) private view returns (bytes32) {
        return keccak256(abi.encode(id, msg.sender));
    }
}
