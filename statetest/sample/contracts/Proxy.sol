// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Runs another contract's code on its own storage, and lets its admin exchange that code.
contract Proxy {
    /// A place that no mapping or array of the code behind the proxy reaches.
    bytes32 private constant IMPLEMENTATION = keccak256("sample.proxy.implementation");
    bytes32 private constant ADMIN = keccak256("sample.proxy.admin");

    event Upgraded(address implementation);

    constructor(address implementation, bytes memory call) {
        store(ADMIN, msg.sender);
        store(IMPLEMENTATION, implementation);
        (bool done,) = implementation.delegatecall(call);
        require(done, "initialization failed");
    }

    function upgradeTo(address implementation) external {
        require(msg.sender == load(ADMIN), "not the admin");
        require(implementation.code.length > 0, "no code");
        store(IMPLEMENTATION, implementation);
        emit Upgraded(implementation);
    }

    fallback() external {
        address implementation = load(IMPLEMENTATION);
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), implementation, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch done
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }

    function store(bytes32 slot, address value) private {
        assembly {
            sstore(slot, value)
        }
    }

    function load(bytes32 slot) private view returns (address value) {
        assembly {
            value := sload(slot)
        }
    }
}
