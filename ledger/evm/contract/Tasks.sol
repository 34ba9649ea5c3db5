// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Approvals} from "./Approvals.sol";
import {Base} from "./Base.sol";
import {Canonical} from "./Canonical.sol";
import {Digests} from "./Digests.sol";
import {Ladder} from "./Ladder.sol";
import {Halo2, Terms} from "./Types.sol";

/// Test sets and tasks up to the release of the set: commit, then release, then prove (13).
abstract contract Tasks is Base, Approvals {
    error UnknownTask();
    error UnknownTestset();
    error WrongPhase();
    error OverBudget();
    error StatementMismatch();
    /// The verifier contract or its parameters cannot be used.
    error BadPins();

    event DataRegister(
        uint64 index,
        address signer,
        uint64 nonce,
        bytes32 root,
        uint64 samples,
        bytes32 manifest,
        uint64 openings,
        bytes32 wellFormed
    );
    event TaskOpen(
        uint64 index,
        address signer,
        uint64 nonce,
        bytes32 id,
        Terms terms,
        Halo2 halo2,
        bytes32 codehash
    );
    event ModelCommit(
        uint64 index,
        address signer,
        uint64 nonce,
        bytes32 task,
        uint32 round,
        bytes32 model,
        bytes32 context
    );
    event TestsetRelease(
        uint64 index, address signer, uint64 nonce, bytes32 task, uint32 round, bytes32 opening
    );

    struct Testset {
        address evaluator;
        bool opened;
        uint64 samples;
        uint64 openings;
        uint64 spent;
    }

    struct Task {
        bool sumcheck;
        bool evaluatorProves;
        uint32 rounds;
        uint32 released;
        uint64 perIdentity;
        uint64 openings;
        uint64 spent;
        uint64 step;
        uint64 minted;
        Ladder.Rungs rungs;
        bytes32 circuit;
        bytes32 srs;
        bytes32 testset;
        Halo2 halo2;
        bytes32 codehash;
    }

    /// Fixed for ever by the genesis entry.
    mapping(address => bool) public taskOwner;
    uint64 public maxPool;
    /// Units granted at the start and in the pools of all tasks: so that no balance ever grows
    /// beyond what JSON carries exactly.
    uint256 public promised;

    mapping(bytes32 => Testset) public testsets;
    mapping(bytes32 => Task) internal _tasks;
    /// Commitments, by keccak256 of task, round, account and model.
    mapping(bytes32 => bool) internal _commits;

    function registerTestset(
        uint64 nonce,
        bytes32 root,
        uint64 samples,
        bytes32 manifest,
        uint64 openings,
        bytes32 wellFormed
    ) external {
        _requireCount(samples, 1);
        _requireCount(openings, 1);
        uint64 index = _enter(nonce);
        // A second registration would be a second budget for one and the same secret.
        if (testsets[root].evaluator != address(0)) revert AlreadyRegistered();
        testsets[root] = Testset(msg.sender, false, samples, openings, 0);
        emit DataRegister(index, msg.sender, nonce, root, samples, manifest, openings, wellFormed);
    }

    /// Shards whose proofs one transaction can carry where it may use 2^24 gas (EIP-7825).
    uint256 private constant _MOST_SHARDS = 24;

    /// The evaluator is named, because a registration can be copied before it is mined: whoever
    /// came first with somebody else's root must not get the task. Governors approve what the
    /// contract is told of a halo2 circuit.
    function openTask(
        uint64 nonce,
        Terms calldata terms,
        address evaluator,
        Halo2 calldata halo2,
        bytes[] calldata approvals
    ) external returns (bytes32 id) {
        Ladder.Rungs memory rungs = _checkTerms(terms);
        uint64 index = _enter(nonce);
        if (!taskOwner[msg.sender]) revert NotAuthorised();
        Testset storage testset = testsets[terms.testset];
        if (testset.evaluator == address(0)) revert UnknownTestset();
        if (testset.evaluator != evaluator) revert BadPins();
        if (testset.opened) revert WrongPhase();
        promised += terms.policy.pool;
        if (
            terms.policy.openings > testset.openings || terms.policy.pool > maxPool
                || promised >= Ladder.LIMIT
        ) revert OverBudget();
        _checkPins(terms.sumcheck, halo2, testset.samples);
        id = Digests.ofTask(origin, msg.sender, nonce, terms);
        Task storage task = _tasks[id];
        task.sumcheck = terms.sumcheck;
        task.evaluatorProves = terms.evaluatorProves;
        task.rounds = terms.rounds;
        task.perIdentity = terms.policy.perIdentity;
        task.openings = terms.policy.openings;
        task.rungs = rungs;
        task.circuit = terms.circuit;
        task.srs = terms.srs;
        task.testset = terms.testset;
        task.halo2 = halo2;
        // The code is pinned, and not only its place: on some chains another can take it.
        task.codehash = halo2.verifier.codehash;
        if (!terms.sumcheck) _requireApproved(pinning(id, halo2, task.codehash), approvals);
        emit TaskOpen(index, msg.sender, nonce, id, terms, halo2, task.codehash);
    }

    function _checkTerms(Terms calldata terms) private pure returns (Ladder.Rungs memory rungs) {
        rungs = Ladder.Rungs(
            terms.policy.minimumNum,
            terms.policy.minimumDen,
            terms.policy.etaNum,
            terms.policy.etaDen,
            terms.policy.pool
        );
        _requireCount(terms.policy.perIdentity, 1);
        _requireCount(terms.policy.openings, 1);
        if (
            !Canonical.isPlain(bytes(terms.title), 200, true) || !Ladder.valid(rungs)
                || terms.rounds == 0 || (!terms.evaluatorProves && terms.rounds != 1)
        ) revert MalformedEntry();
    }

    function _checkPins(bool sumcheck, Halo2 calldata halo2, uint256 samples) private view {
        if (sumcheck) {
            if (keccak256(abi.encode(halo2)) != keccak256(new bytes(160))) revert BadPins();
        } else if (
            halo2.verifier.code.length == 0 || halo2.k == 0 || halo2.shardSize == 0
                || samples > _MOST_SHARDS * halo2.shardSize
        ) {
            revert BadPins();
        }
    }

    function commit(uint64 nonce, bytes32 id, uint32 round, bytes32 model, bytes32 context)
        external
    {
        uint64 index = _enter(nonce);
        Task storage task = _task(id);
        _requireCommitPhase(task, round);
        // The same set may have been opened through another task.
        if (testsets[task.testset].opened) revert WrongPhase();
        if (context != Digests.ofContext(origin, msg.sender, id, round)) revert StatementMismatch();
        bytes32 key = _commitKey(id, round, model);
        if (_commits[key]) revert AlreadyRegistered();
        _commits[key] = true;
        emit ModelCommit(index, msg.sender, nonce, id, round, model, context);
    }

    function release(uint64 nonce, bytes32 id, uint32 round, bytes32 opening) external {
        uint64 index = _enter(nonce);
        Task storage task = _task(id);
        Testset storage testset = testsets[task.testset];
        if (msg.sender != testset.evaluator) revert NotAuthorised();
        _requireCommitPhase(task, round);
        if (!task.evaluatorProves) testset.opened = true;
        task.released = round + 1;
        emit TestsetRelease(index, msg.sender, nonce, id, round, opening);
    }

    function _requireCommitPhase(Task storage task, uint32 round) private view {
        if (round != task.released || round >= task.rounds) revert WrongPhase();
    }

    function _task(bytes32 id) internal view returns (Task storage task) {
        task = _tasks[id];
        if (task.rounds == 0) revert UnknownTask();
    }

    function _commitKey(bytes32 id, uint32 round, bytes32 model) internal view returns (bytes32) {
        return keccak256(abi.encode(id, round, msg.sender, model));
    }
}
