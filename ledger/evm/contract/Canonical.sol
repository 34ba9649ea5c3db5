// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// Canonical JSON (RFC 8785) as circuits/encoding.py writes it, from values that need no escapes.
library Canonical {
    /// 32 bytes as 64 lowercase hex digits.
    function hex32(bytes32 value) internal pure returns (bytes memory) {
        return bytes.concat(_hex16(uint128(bytes16(value))), _hex16(uint128(uint256(value))));
    }

    /// An identity: the account after 12 zero bytes, as 64 lowercase hex digits.
    function account(address who) internal pure returns (bytes memory) {
        return hex32(bytes32(uint256(uint160(who))));
    }

    function decimal(uint256 value) internal pure returns (bytes memory text) {
        text = new bytes(_digits(value));
        _write(text, text.length, value);
    }

    /// Written into one buffer: joining texts one by one would cost the square of their number.
    function list(uint64[] memory values) internal pure returns (bytes memory text) {
        uint256 total = values.length == 0 ? 2 : 1 + values.length;
        for (uint256 i = 0; i < values.length; i++) total += _digits(values[i]);
        text = new bytes(total);
        text[0] = "[";
        uint256 end = 1;
        for (uint256 i = 0; i < values.length; i++) {
            end += _digits(values[i]);
            _write(text, end, values[i]);
            text[end++] = ",";
        }
        text[total - 1] = "]";
    }

    function pair(uint64 first, uint64 second) internal pure returns (bytes memory) {
        return bytes.concat("[", decimal(first), ",", decimal(second), "]");
    }

    function _digits(uint256 value) private pure returns (uint256 digits) {
        for (digits = 1; value >= 10; value /= 10) digits++;
    }

    /// Writes the digits of a number so that they stop before `end`.
    function _write(bytes memory text, uint256 end, uint256 value) private pure {
        do {
            text[--end] = bytes1(uint8(48 + value % 10));
            value /= 10;
        } while (value != 0);
    }

    /// The same part of each item, one after the other; copied once.
    function join(bytes[] calldata items, uint256 limit) internal pure returns (bytes memory text) {
        uint256 total = 0;
        for (uint256 i = 0; i < items.length; i++) total += _least(items[i].length, limit);
        text = new bytes(total);
        uint256 at = 32;
        for (uint256 i = 0; i < items.length; i++) {
            bytes calldata item = items[i];
            uint256 size = _least(item.length, limit);
            assembly ("memory-safe") {
                calldatacopy(add(text, at), item.offset, size)
            }
            at += size;
        }
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    /// Whether a text is its own JSON string: printable ASCII without quote and backslash.
    function isPlain(bytes memory text, uint256 limit, bool spaces) internal pure returns (bool) {
        for (uint256 i = 0; i < text.length; i++) {
            bytes1 c = text[i];
            if (c < 0x20 || c > 0x7e || c == '"' || c == "\\") return false;
            if (!spaces && (c == " " || c == "+")) return false;
        }
        return text.length > 0 && text.length <= limit;
    }

    /// Whether a text is made of digits, brackets and commas, so that it can name no field.
    function isTable(bytes memory text) internal pure returns (bool) {
        for (uint256 i = 0; i < text.length; i++) {
            bytes1 c = text[i];
            if ((c < "0" || c > "9") && c != "[" && c != "]" && c != ",") return false;
        }
        return true;
    }

    /// 16 bytes as 32 hex digits: nibbles are spread to a byte each, then all digits made at once.
    function _hex16(uint256 x) private pure returns (bytes32) {
        x = (x | x << 64) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        x = (x | x << 32) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        x = (x | x << 16) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        x = (x | x << 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
        uint256 ones = 0x0101010101010101010101010101010101010101010101010101010101010101;
        // A nibble plus 6 reaches 16 exactly for the letters, which are 39 behind '9' + 1.
        uint256 letters = ((x + 6 * ones) >> 4) & ones;
        return bytes32(x + 48 * ones + 39 * letters);
    }
}
