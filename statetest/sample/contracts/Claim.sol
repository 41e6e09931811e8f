// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IToken} from "./Pool.sol";

/// Pays tokens to whoever stands in a Merkle tree, each once; and hashes long chains, for those who like to.
contract Claim {
    IToken public immutable token;
    bytes32 public immutable root;
    mapping(uint256 => uint256) private claimed;
    mapping(bytes32 => uint256) public chains;

    event Claimed(uint256 indexed index, address indexed account, uint256 amount);

    error AlreadyClaimed(uint256 index);
    error WrongProof(bytes32 computed);

    constructor(IToken paid, bytes32 tree) {
        token = paid;
        root = tree;
    }

    function isClaimed(uint256 index) public view returns (bool) {
        return claimed[index >> 8] & (1 << (index & 0xff)) != 0;
    }

    function claim(uint256 index, address account, uint256 amount, bytes32[] calldata proof) external {
        if (isClaimed(index)) revert AlreadyClaimed(index);
        bytes32 node = keccak256(abi.encode(index, account, amount));
        for (uint256 i = 0; i < proof.length; i++) {
            node = pair(node, proof[i]);
        }
        if (node != root) revert WrongProof(node);
        claimed[index >> 8] |= 1 << (index & 0xff);
        token.transfer(account, amount);
        emit Claimed(index, account, amount);
    }

    /// The root of the tree over `leaves` numbered leaves, computed in memory.
    function rootOf(bytes32 seed, uint256 leaves) public pure returns (bytes32) {
        bytes32[] memory level = new bytes32[](leaves);
        for (uint256 i = 0; i < leaves; i++) {
            level[i] = keccak256(abi.encodePacked(seed, i));
        }
        while (leaves > 1) {
            uint256 half = (leaves + 1) / 2;
            for (uint256 i = 0; i < half; i++) {
                level[i] = 2 * i + 1 < leaves ? pair(level[2 * i], level[2 * i + 1]) : level[2 * i];
            }
            leaves = half;
        }
        return level[0];
    }

    function recordRoot(bytes32 seed, uint256 leaves) external {
        chains[rootOf(seed, leaves)] = leaves;
    }

    /// Hashes `link` again and again, `length` times, and keeps the end.
    function recordChain(bytes32 link, uint256 length) external {
        for (uint256 i = 0; i < length; i++) {
            link = keccak256(abi.encodePacked(link, i));
        }
        chains[link] = length;
    }

    function pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encodePacked(a, b)) : keccak256(abi.encodePacked(b, a));
    }
}
