// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Canonical} from "./Canonical.sol";
import {Digests} from "./Digests.sol";
import {Proofs} from "./Proofs.sol";

/// The ledger of ledger/rules on a chain: the same entries, digests, refusals and payments, for
/// the entries that pay for proofs. Nobody owns it: what genesis fixes stays, and there is no
/// function by which anyone could change the rules, pause them or take what is another's.
contract ZkpotLedger is Proofs {
    error InsufficientFunds();

    event Transfer(uint64 index, address signer, uint64 nonce, address to, uint64 amount);

    struct Charter {
        address[] governors;
        uint32 threshold;
        address[] taskOwners;
        uint64 maxPool;
    }

    /// The ledger's origin ends in the chain and this contract: what is made for it, a proof bound
    /// to its context among it, counts nowhere else, whatever else is deployed under that name.
    constructor(
        string memory name,
        bool allowInsecureSrs_,
        Charter memory charter,
        address[] memory granted,
        uint64[] memory grants
    ) {
        if (
            !Canonical.isPlain(bytes(name), 128, false) || charter.threshold == 0
                || charter.threshold > charter.governors.length || charter.taskOwners.length == 0
                || granted.length != grants.length
        ) revert MalformedEntry();
        _requireCount(charter.maxPool, 0);
        _requireSorted(charter.governors);
        _requireSorted(charter.taskOwners);
        _requireSorted(granted);
        bytes memory place = Canonical.account(address(this));
        bytes memory here = new bytes(40);
        for (uint256 i = 0; i < 40; i++) here[i] = place[24 + i];
        bytes memory chain = Canonical.decimal(block.chainid);
        origin = string(bytes.concat(bytes(name), "/eip155:", chain, ":0x", here));
        (allowInsecureSrs, threshold, maxPool) =
            (allowInsecureSrs_, charter.threshold, charter.maxPool);
        for (uint256 i = 0; i < charter.governors.length; i++) governor[charter.governors[i]] = true;
        for (uint256 i = 0; i < charter.taskOwners.length; i++) taskOwner[charter.taskOwners[i]] = true;
        for (uint256 i = 0; i < granted.length; i++) {
            _requireCount(grants[i], 1);
            balances[granted[i]] = grants[i];
            minted += grants[i];
        }
        _requireCount(minted, 0);
        promised = minted;
        (registered[msg.sender], nonces[msg.sender], size) = (true, 1, 1);
        emit Genesis(
            0,
            msg.sender,
            origin,
            allowInsecureSrs_,
            charter.governors,
            charter.threshold,
            charter.taskOwners,
            charter.maxPool,
            granted,
            grants
        );
    }

    function transfer(uint64 nonce, address to, uint64 amount) external {
        _requireCount(amount, 1);
        uint64 index = _enter(nonce);
        if (!registered[to]) revert NotAuthorised();
        if (balances[msg.sender] < amount) revert InsufficientFunds();
        balances[msg.sender] -= amount;
        balances[to] += amount;
        emit Transfer(index, msg.sender, nonce, to, amount);
    }

    function taskState(bytes32 id)
        external
        view
        returns (uint32 released, uint64 spent, uint64 step, uint64 paid, bytes32 codehash)
    {
        Task storage task = _task(id);
        return (task.released, task.spent, task.step, task.minted, task.codehash);
    }

    /// The digest that a proof of `submitter` must be bound to.
    function contextOf(address submitter, bytes32 id, uint32 round) external view returns (bytes32) {
        return Digests.ofContext(origin, submitter, id, round);
    }

    /// Set in strictly ascending order: every set has one encoding; nobody has the zero account.
    function _requireSorted(address[] memory accounts) private pure {
        address last = address(0);
        for (uint256 i = 0; i < accounts.length; i++) {
            if (accounts[i] <= last) revert MalformedEntry();
            last = accounts[i];
        }
    }
}
