// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// ledger.policy.Policy for the rule "gain", without bonds and windows. Ratios in lowest terms.
struct Policy {
    uint64 minimumNum;
    uint64 minimumDen;
    uint64 etaNum;
    uint64 etaDen;
    uint64 pool;
    uint64 perIdentity;
    uint64 openings;
}

/// ledger.entries.TaskOpen.
struct Terms {
    string title;
    bool sumcheck;
    bytes32 circuit;
    bytes32 vk;
    bytes32 srs;
    bytes32 architecture;
    bytes32 testset;
    bool evaluatorProves;
    uint32 rounds;
    Policy policy;
}

/// What a contract has to be told of a halo2 circuit and test set; all zero for sumcheck. It
/// follows from `circuit`, `vk` and `testset`, and ledger/evm/pins.py holds it against them.
struct Halo2 {
    address verifier;
    uint32 k;
    uint32 shardSize;
    uint64 inRange;
    bytes32 shards;
}
