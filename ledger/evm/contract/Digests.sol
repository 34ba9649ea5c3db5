// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Canonical} from "./Canonical.sol";
import {Policy, Terms} from "./Types.sol";

/// The digests on which meaning depends, over the very bytes that the Python engine hashes.
/// Every label starts with its length in two bytes, as in circuits/encoding.py.
library Digests {
    using Canonical for bytes32;
    using Canonical for uint256;
    using Canonical for address;

    /// circuits.statement.Context: what a proof is bound to, its submitter among it.
    function ofContext(string memory origin, address submitter, bytes32 task, uint256 round)
        internal
        pure
        returns (bytes32)
    {
        return sha256(
            bytes.concat(
                "\x00\x0dzkpot/context",
                bytes.concat('{"origin":"', bytes(origin), '","round":', round.decimal()),
                bytes.concat(',"submitter":"', submitter.account()),
                bytes.concat('","task":"', task.hex32(), '"}')
            )
        );
    }

    /// ledger.state.nullifier: what can be spent once.
    function ofNullifier(bytes32 task, uint256 round, bytes32 model, bytes32 testset)
        internal
        pure
        returns (bytes32)
    {
        return sha256(
            bytes.concat(
                "\x00\x0fzkpot/nullifier",
                bytes.concat('["', task.hex32(), '",', round.decimal(), ',"', model.hex32()),
                bytes.concat('","', testset.hex32(), '"]')
            )
        );
    }

    /// circuits.halo2.model.model_id: the name of a commitment of 64 bytes.
    function ofModel(bytes32 x, bytes32 y, uint256 k, bytes32 srs) internal pure returns (bytes32) {
        return sha256(
            bytes.concat(
                "\x00\x0bzkpot/model",
                bytes.concat('{"backend":"halo2","commitment":"', x.hex32(), y.hex32()),
                bytes.concat('","k":', k.decimal(), ',"srs":"', srs.hex32(), '"}')
            )
        );
    }

    /// What a statement says beyond its task.
    struct Claim {
        bytes32 context;
        bytes32 model;
        uint64 correct;
        uint64[] shardCorrect;
        bytes confusion;
        bytes groups;
        bytes perClass;
    }

    /// circuits.statement.Statement.encode.
    function statement(
        bool sumcheck,
        bytes32 circuit,
        bytes32 testset,
        uint256 samples,
        Claim memory claim
    ) internal pure returns (bytes memory) {
        return bytes.concat(
            bytes.concat('{"backend":"', sumcheck ? bytes("sumcheck") : bytes("halo2")),
            bytes.concat('","circuit":"', circuit.hex32(), '",', _table("confusion", claim.confusion)),
            bytes.concat('"context":"', claim.context.hex32(), '","correct":'),
            bytes.concat(uint256(claim.correct).decimal(), ",", _table("groups", claim.groups)),
            bytes.concat('"model":"', claim.model.hex32(), '",', _table("per_class", claim.perClass)),
            bytes.concat('"samples":', samples.decimal(), ',"shard_correct":'),
            bytes.concat(Canonical.list(claim.shardCorrect), ',"testset":"', testset.hex32()),
            '","version":1}'
        );
    }

    function ofStatement(bytes memory encoded) internal pure returns (bytes32) {
        return sha256(bytes.concat("\x00\x0fzkpot/statement", encoded));
    }

    function _table(bytes memory name, bytes memory value) private pure returns (bytes memory) {
        return value.length == 0 ? value : bytes.concat('"', name, '":', value, ",");
    }

    function ofCircuit(bytes calldata encoded) internal pure returns (bytes32) {
        return sha256(bytes.concat("\x00\x0dzkpot/circuit", encoded));
    }

    /// ledger.entries.blob_digest of circuits.bundle.Bundle.encode: the bundle that an auditor
    /// can put together again from this very transaction.
    function ofBundle(
        bytes calldata circuit,
        bool srsInsecure,
        bytes memory statement_,
        bytes[] calldata proofs
    ) internal pure returns (bytes32) {
        bytes memory parts;
        for (uint256 i = 0; i < proofs.length; i++) {
            parts = bytes.concat(
                parts,
                i == 0 ? bytes('{"bytes":') : bytes(',{"bytes":'),
                bytes.concat(proofs[i].length.decimal(), ',"sha256":"', sha256(proofs[i]).hex32()),
                '"}'
            );
        }
        bytes memory content = Canonical.join(proofs, type(uint256).max);
        return sha256(
            bytes.concat(
                bytes.concat("\x00\x0azkpot/blob", '{"circuit":', circuit),
                srsInsecure
                    ? bytes(',"details":{"srs_insecure":true},"magic":"zkpot-bundle","parts":[')
                    : bytes(',"details":{"srs_insecure":false},"magic":"zkpot-bundle","parts":['),
                bytes.concat(parts, '],"statement":', statement_, ',"version":2}\n', content)
            )
        );
    }

    /// ledger.envelope.SignedEntry.digest of the entry that opens a task.
    function ofTask(string memory origin, address signer, uint256 nonce, Terms calldata terms)
        internal
        pure
        returns (bytes32)
    {
        return sha256(
            bytes.concat(
                bytes.concat("\x00\x0bzkpot/entry", '{"body":', _body(terms), ',"nonce":'),
                bytes.concat(nonce.decimal(), ',"origin":"', bytes(origin)),
                bytes.concat('","signer":"', signer.account(), '","type":"task.open","version":2}')
            )
        );
    }

    function _body(Terms calldata terms) private pure returns (bytes memory) {
        return bytes.concat(
            bytes.concat('{"architecture":"', terms.architecture.hex32(), '","backend":"'),
            bytes.concat(terms.sumcheck ? bytes("sumcheck") : bytes("halo2"), '","circuit":"'),
            bytes.concat(terms.circuit.hex32(), '","policy":', _policy(terms.policy)),
            terms.evaluatorProves
                ? bytes(',"prover":"evaluator","rounds":')
                : bytes(',"prover":"contributor","rounds":'),
            bytes.concat(uint256(terms.rounds).decimal(), ',"srs":"', terms.srs.hex32()),
            bytes.concat('","testset":"', terms.testset.hex32(), '","title":"'),
            bytes.concat(bytes(terms.title), '","vk":"', terms.vk.hex32(), '"}')
        );
    }

    function _policy(Policy calldata policy) private pure returns (bytes memory) {
        return bytes.concat(
            bytes.concat('{"bond":0,"eta":', Canonical.pair(policy.etaNum, policy.etaDen)),
            ',"evaluator_bond":0,"minimum_accuracy":',
            bytes.concat(Canonical.pair(policy.minimumNum, policy.minimumDen), ',"openings":'),
            bytes.concat(uint256(policy.openings).decimal(), ',"pool":'),
            bytes.concat(uint256(policy.pool).decimal(), ',"rule":"gain"'),
            bytes.concat(',"submissions_per_identity":', uint256(policy.perIdentity).decimal()),
            ',"windows":{"commit":0,"prove":0,"release":0,"unit":"entries"}}'
        );
    }
}
