// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Canonical} from "./Canonical.sol";
import {Digests} from "./Digests.sol";
import {Halo2} from "./Types.sol";

/// What ezkl generates from a verifying key; see verifier/evm.py.
interface IHalo2Verifier {
    function verifyProof(bytes calldata proof, uint256[] calldata instances)
        external
        returns (bool);
}

/// The checks of verifier/halo2.py, in its order, for the proofs of one bundle.
library Halo2Proofs {
    error ProofRejected(string check);

    /// A proof starts with the commitments to features, labels and weights: x and y, 32 bytes each.
    uint256 private constant _TESTSET_BYTES = 128;
    uint256 private constant _COMMITTED_BYTES = 192;

    /// Reverts unless there is exactly one proof for each shard of the pinned set, all made with
    /// the model of the claim, and the pinned verifier accepts each for instances computed here.
    function check(
        Halo2 memory pins,
        bytes32 codehash,
        bytes32 srs,
        uint256 samples,
        Digests.Claim calldata claim,
        bytes[] calldata proofs
    ) internal view {
        uint256 shards = (samples + pins.shardSize - 1) / pins.shardSize;
        if (proofs.length != shards || claim.shardCorrect.length != shards) {
            revert ProofRejected("shards");
        }
        _checkCommitments(pins, srs, claim.model, proofs);
        if (pins.verifier.codehash != codehash) revert ProofRejected("keys");
        uint256[] memory instances = new uint256[](5);
        instances[2] = uint256(claim.context) >> 128;
        instances[3] = uint128(uint256(claim.context));
        instances[4] = pins.inRange;
        for (uint256 i = 0; i < shards; i++) {
            instances[0] = claim.shardCorrect[i];
            instances[1] = i + 1 < shards ? pins.shardSize : samples - i * pins.shardSize;
            if (!_accepts(pins.verifier, proofs[i], instances)) revert ProofRejected("proof");
        }
    }

    function _checkCommitments(
        Halo2 memory pins,
        bytes32 srs,
        bytes32 model,
        bytes[] calldata proofs
    ) private pure {
        for (uint256 i = 0; i < proofs.length; i++) {
            if (proofs[i].length < _COMMITTED_BYTES) revert ProofRejected("proof form");
            bytes32 x = bytes32(proofs[i][_TESTSET_BYTES:_TESTSET_BYTES + 32]);
            bytes32 y = bytes32(proofs[i][_TESTSET_BYTES + 32:_COMMITTED_BYTES]);
            if (Digests.ofModel(x, y, pins.k, srs) != model) revert ProofRejected("model");
        }
        bytes memory testset = Canonical.join(proofs, _TESTSET_BYTES);
        if (keccak256(testset) != pins.shards) revert ProofRejected("shards");
    }

    /// A static call: whatever the verifier is, it can change nothing, here or elsewhere.
    function _accepts(address verifier, bytes calldata proof, uint256[] memory instances)
        private
        view
        returns (bool)
    {
        (bool success, bytes memory answer) =
            verifier.staticcall(abi.encodeCall(IHalo2Verifier.verifyProof, (proof, instances)));
        return success && answer.length == 32 && bytes32(answer) == bytes32(uint256(1));
    }

    /// circuits.halo2.srs.CEREMONY_SHA256: an SRS is a ceremony's exactly if its SHA-256 is one
    /// of these, and its maker can forge proofs otherwise.
    function ceremony(uint256 k) internal pure returns (bytes32) {
        if (k == 10) return 0x9705d450e5dfd06adb673705f7bc34418ec86339203198beceb2ae7f1ffefedb;
        if (k == 11) return 0x257fa566ed9bc0767d3e63e92b5e966829fa3347d320a32055dc31ee7d33f8a4;
        if (k == 12) return 0x28b151069f41abc121baa6d2eaa8f9e4c4d8326ddbefee2bd9c0776b80ac6fad;
        if (k == 13) return 0xd5d94bb25bdc024f649213593027d861042ee807cafd94b49b54f1663f8f267d;
        if (k == 14) return 0xc09129f064c08ecb07ea3689a2247dcc177de6837e7d2f5f946e30453abbccef;
        if (k == 15) return 0x90807800a1c3b248a452e1732c45ee5099f38b737356f5542c0584ec9c3ebb45;
        if (k == 16) return 0x2a1a494630e71bc026dd5c0eab4c1b9a5dbc656228c1f0d48f5dbd3909b161d3;
        if (k == 17) return 0x41509f380362a8d14401c5ae92073154922fe23e45459ce6f696f58607655db7;
        if (k == 18) return 0xd0148475717a2ba269784a178cb0ab617bc77f16c58d4a3cbdfe785b591c7034;
        if (k == 19) return 0xd1a1655b4366a766d1578beb257849a92bf91cb1358c1a2c37ab180c5d3a204d;
        if (k == 20) return 0x54ef75911da76d7a6b7ea341998aaf66cb06c679c53e0a88a4fe070dd3add963;
        return 0;
    }
}
