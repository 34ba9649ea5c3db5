// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Canonical} from "./Canonical.sol";
import {Ladder} from "./Ladder.sol";

/// Who may say what, once, in an unbroken sequence (promises 10 and 11 of ledger/rules). Every
/// entry of the ledger is exactly one event, and events carry everything that the entry has.
abstract contract Base {
    error MalformedEntry();
    error NotAuthorised();
    error AlreadyRegistered();
    error BadNonce(uint64 next);

    event Genesis(
        uint64 index,
        address signer,
        string origin,
        bool allowInsecureSrs,
        address[] governors,
        uint32 threshold,
        address[] taskOwners,
        uint64 maxPool,
        address[] granted,
        uint64[] grants
    );
    event IdentityRegister(uint64 index, address signer, uint64 nonce, string name);

    /// Entries so far, so the index of the next one.
    uint64 public size;
    string public origin;
    /// Number of the next entry of each account; only what is registered has one to come.
    mapping(address => uint64) public nonces;
    mapping(address => bool) public registered;

    /// Checks the author of an entry and counts it; returns its index.
    function _enter(uint64 nonce) internal returns (uint64 index) {
        if (!registered[msg.sender]) revert NotAuthorised();
        return _number(nonce);
    }

    function _number(uint64 nonce) private returns (uint64 index) {
        uint64 next = nonces[msg.sender];
        if (nonce != next) revert BadNonce(next);
        nonces[msg.sender] = next + 1;
        index = size++;
    }

    function register(uint64 nonce, string calldata name) external {
        if (!Canonical.isPlain(bytes(name), 64, true)) revert MalformedEntry();
        if (registered[msg.sender]) revert AlreadyRegistered();
        emit IdentityRegister(_number(nonce), msg.sender, nonce, name);
        registered[msg.sender] = true;
    }

    /// A count that JSON carries exactly.
    function _requireCount(uint256 value, uint256 least) internal pure {
        if (value < least || value >= Ladder.LIMIT) revert MalformedEntry();
    }
}
