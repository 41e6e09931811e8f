// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Numbered things with owners: sold one by one or in batches, each with traits drawn at its minting and a description made
/// of them.
contract Nft {
    struct Item {
        address owner;
        uint64 mintedAt;
        uint32 traits;
    }

    uint256 public constant PRICE = 0.001 ether;
    uint256 public constant BATCH_MAX = 20;
    uint256 public constant SUPPLY_MAX = 400;

    uint256 public supply;
    mapping(uint256 => Item) private items;
    mapping(address => uint256[]) private owned;
    mapping(uint256 => uint256) private placeInOwned;
    mapping(uint256 => address) public approved;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);

    error WrongPrice(uint256 paid, uint256 price);
    error SoldOut();
    error NotYours(uint256 id);
    error Unknown(uint256 id);

    function mint(uint256 count) external payable {
        require(count > 0 && count <= BATCH_MAX, "bad count");
        if (msg.value != PRICE * count) revert WrongPrice(msg.value, PRICE * count);
        if (supply + count > SUPPLY_MAX) revert SoldOut();
        for (uint256 i = 0; i < count; i++) {
            uint256 id = ++supply;
            uint256 draw = uint256(keccak256(abi.encodePacked(block.prevrandao, msg.sender, id)));
            items[id] = Item(msg.sender, uint64(block.timestamp), uint32(draw));
            add(msg.sender, id);
            emit Transfer(address(0), msg.sender, id);
        }
    }

    function approve(address to, uint256 id) external {
        if (items[id].owner != msg.sender) revert NotYours(id);
        approved[id] = to;
    }

    function transferFrom(address from, address to, uint256 id) external {
        Item storage item = items[id];
        if (item.owner != from || (msg.sender != from && msg.sender != approved[id])) revert NotYours(id);
        delete approved[id];
        remove(from, id);
        item.owner = to;
        add(to, id);
        emit Transfer(from, to, id);
    }

    function ownerOf(uint256 id) external view returns (address) {
        address owner = items[id].owner;
        if (owner == address(0)) revert Unknown(id);
        return owner;
    }

    function ownedBy(address owner) external view returns (uint256[] memory) {
        return owned[owner];
    }

    function describe(uint256 id) public view returns (string memory) {
        Item storage item = items[id];
        if (item.owner == address(0)) revert Unknown(id);
        return string.concat(
            "{\"name\":\"Thing ",
            decimal(id),
            "\",\"colour\":",
            decimal(item.traits & 0xff),
            ",\"size\":",
            decimal((item.traits >> 8) & 0xff),
            ",\"minted\":",
            decimal(item.mintedAt),
            "}"
        );
    }

    /// Hashes the descriptions of `first` up to and including `last`.
    function digest(uint256 first, uint256 last) external view returns (bytes32 hash) {
        for (uint256 id = first; id <= last; id++) {
            hash = keccak256(abi.encodePacked(hash, describe(id)));
        }
    }

    function add(address to, uint256 id) private {
        placeInOwned[id] = owned[to].length;
        owned[to].push(id);
    }

    function remove(address from, uint256 id) private {
        uint256[] storage list = owned[from];
        uint256 place = placeInOwned[id];
        uint256 last = list[list.length - 1];
        list[place] = last;
        placeInOwned[last] = place;
        list.pop();
    }

    function decimal(uint256 number) private pure returns (string memory) {
        if (number == 0) return "0";
        uint256 length = 0;
        for (uint256 rest = number; rest != 0; rest /= 10) {
            length++;
        }
        bytes memory digits = new bytes(length);
        while (number != 0) {
            digits[--length] = bytes1(uint8(48 + number % 10));
            number /= 10;
        }
        return string(digits);
    }
}
