// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Halo2} from "./Types.sol";

/// k of n governors say what no contract can find out: that they verified a sumcheck bundle, or
/// derived a halo2 task's verifying key and found its verifier contract to be that key's.
abstract contract Approvals {
    error NotApproved();

    bytes32 private constant _DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 private constant _ATTESTATION = keccak256(
        "Attestation(bytes32 task,uint32 round,address submitter,bytes32 statement,bytes32 bundle)"
    );
    bytes32 private constant _PINS = keccak256(
        "Pins(bytes32 task,address verifier,bytes32 codehash,uint32 k,uint32 shardSize,uint64 inRange,bytes32 shards)"
    );
    /// Half the order of secp256k1: of s and -s, only the lower makes a signature.
    uint256 private constant _HALF_ORDER =
        0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    mapping(address => bool) public governor;
    uint32 public threshold;

    /// What is signed for a sumcheck submission.
    function attestation(
        bytes32 task,
        uint32 round,
        address submitter,
        bytes32 statement,
        bytes32 bundle
    ) public view returns (bytes32) {
        return _typed(keccak256(abi.encode(_ATTESTATION, task, round, submitter, statement, bundle)));
    }

    /// What is signed for a halo2 task.
    function pinning(bytes32 task, Halo2 memory halo2, bytes32 codehash)
        public
        view
        returns (bytes32)
    {
        return _typed(
            keccak256(
                abi.encode(
                    _PINS,
                    task,
                    halo2.verifier,
                    codehash,
                    halo2.k,
                    halo2.shardSize,
                    halo2.inRange,
                    halo2.shards
                )
            )
        );
    }

    /// EIP-712: for this contract on this chain, and for nothing else.
    function _typed(bytes32 content) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(_DOMAIN, keccak256("zkpot ledger"), keccak256("1"), block.chainid, address(this))
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    /// Reverts unless as many governors as the charter asks for signed a message.
    function _requireApproved(bytes32 message, bytes[] calldata signatures) internal view {
        address last = address(0);
        for (uint256 i = 0; i < signatures.length; i++) {
            address who = _recover(message, signatures[i]);
            // Ascending, so that nobody counts twice; the zero account, which a signature that
            // recovers nobody gives, is never above the last one.
            if (who <= last || !governor[who]) revert NotApproved();
            last = who;
        }
        if (signatures.length < threshold) revert NotApproved();
    }

    function _recover(bytes32 message, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65 || uint256(bytes32(signature[32:64])) > _HALF_ORDER) {
            revert NotApproved();
        }
        uint8 v = uint8(signature[64]);
        return ecrecover(message, v, bytes32(signature[:32]), bytes32(signature[32:64]));
    }
}
