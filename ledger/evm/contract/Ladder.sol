// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// The rule "gain" of ledger/policy.py, Blum and Hardt's Ladder, in integers: every fraction is
/// brought to one denominator. All inputs are below 2^53 and step * eta <= 1, so no product of
/// those below reaches 2^160; Solidity's checked arithmetic would revert, never wrap.
library Ladder {
    /// Counts that JSON carries exactly, as ledger.checks.is_count.
    uint256 internal constant LIMIT = 2 ** 53;

    struct Rungs {
        uint64 minimumNum;
        uint64 minimumDen;
        uint64 etaNum;
        uint64 etaDen;
        uint64 pool;
    }

    /// Whether the numbers are those of a Policy: two ratios in lowest terms, 0 <= minimum < 1,
    /// 0 < eta <= 1.
    function valid(Rungs memory r) internal pure returns (bool) {
        return r.minimumNum < r.minimumDen && r.minimumDen < LIMIT && r.etaNum > 0
            && r.etaNum <= r.etaDen && r.etaDen < LIMIT && r.pool < LIMIT
            && _gcd(r.minimumDen, r.minimumNum) == 1 && _gcd(r.etaDen, r.etaNum) == 1;
    }

    function belowMinimum(Rungs memory r, uint256 correct, uint256 samples)
        internal
        pure
        returns (bool)
    {
        return correct * r.minimumDen < samples * r.minimumNum;
    }

    /// Policy.step: the step of correct / samples, `best` where the gain is not above eta.
    function step(Rungs memory r, uint256 correct, uint256 samples, uint256 best)
        internal
        pure
        returns (uint256)
    {
        // Over the denominator samples * minimumDen * etaDen.
        uint256 score = correct * r.minimumDen * r.etaDen;
        uint256 one = r.etaNum * samples * r.minimumDen;
        uint256 reached = r.minimumNum * samples * r.etaDen + best * one;
        return score > reached + one ? best + (score - reached) / one : best;
    }

    /// Policy.paid_at: pool * step * eta / (1 - minimum), rounded down.
    function paidAt(Rungs memory r, uint256 step_) internal pure returns (uint256) {
        return uint256(r.pool) * step_ * r.etaNum * r.minimumDen
            / (uint256(r.etaDen) * (r.minimumDen - r.minimumNum));
    }

    function _gcd(uint256 a, uint256 b) private pure returns (uint256) {
        while (b != 0) (a, b) = (b, a % b);
        return a;
    }
}
