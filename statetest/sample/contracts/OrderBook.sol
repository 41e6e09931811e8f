// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IToken} from "./Pool.sol";

/// Limit orders for one pair, everything in storage: a sorted list of offers on each side, filled from its head.
contract OrderBook {
    /// Amounts are whole lots, so that a partly filled order costs what its parts cost.
    uint96 private constant LOT = 1000;

    struct Order {
        address maker;
        uint96 amount; // base units still open
        uint128 price; // quote units for one lot
        uint64 next; // the next worse order of the same side
        bool isBuy;
    }

    IToken public immutable base;
    IToken public immutable quote;
    uint64 public orderCount;
    uint64 public bestBuy;
    uint64 public bestSell;
    uint256 public volume;
    mapping(uint64 => Order) public orders;
    mapping(address => uint256) public baseOf;
    mapping(address => uint256) public quoteOf;

    event Placed(uint64 indexed id, address indexed maker, bool isBuy, uint128 price, uint96 amount);
    event Filled(uint64 indexed id, address indexed taker, uint96 amount, uint256 paid);
    event Cancelled(uint64 indexed id);

    error NotEnough(uint256 held, uint256 needed);
    error NotYours(uint64 id);
    error NotThere(uint64 id);

    constructor(IToken baseToken, IToken quoteToken) {
        base = baseToken;
        quote = quoteToken;
    }

    function deposit(uint256 baseAmount, uint256 quoteAmount) external {
        if (baseAmount > 0) {
            base.transferFrom(msg.sender, address(this), baseAmount);
            baseOf[msg.sender] += baseAmount;
        }
        if (quoteAmount > 0) {
            quote.transferFrom(msg.sender, address(this), quoteAmount);
            quoteOf[msg.sender] += quoteAmount;
        }
    }

    function withdraw(uint256 baseAmount, uint256 quoteAmount) external {
        take(baseOf, baseAmount);
        take(quoteOf, quoteAmount);
        if (baseAmount > 0) base.transfer(msg.sender, baseAmount);
        if (quoteAmount > 0) quote.transfer(msg.sender, quoteAmount);
    }

    /// Fills what can be filled at `price` or better, and leaves the rest in the book. Returns 0 where nothing is left.
    function place(bool isBuy, uint128 price, uint96 amount) external returns (uint64 id) {
        require(price > 0 && amount > 0 && amount % LOT == 0, "not in lots");
        if (isBuy) {
            take(quoteOf, cost(amount, price));
        } else {
            take(baseOf, amount);
        }
        amount = isBuy ? buyFromHead(price, amount) : sellToHead(price, amount);
        if (amount > 0) {
            id = ++orderCount;
            orders[id] = Order(msg.sender, amount, price, 0, isBuy);
            insert(id, isBuy, price);
            emit Placed(id, msg.sender, isBuy, price, amount);
        }
    }

    function cancel(uint64 id) external {
        Order storage order = orders[id];
        if (order.maker != msg.sender) revert NotYours(id);
        uint64 before = 0;
        uint64 current = order.isBuy ? bestBuy : bestSell;
        while (current != id) {
            if (current == 0) revert NotThere(id);
            before = current;
            current = orders[current].next;
        }
        if (before == 0) {
            setHead(order.isBuy, order.next);
        } else {
            orders[before].next = order.next;
        }
        if (order.isBuy) {
            quoteOf[msg.sender] += cost(order.amount, order.price);
        } else {
            baseOf[msg.sender] += order.amount;
        }
        delete orders[id];
        emit Cancelled(id);
    }

    /// How much stands at `price` or better on one side, and how many orders that is.
    function depth(bool isBuy, uint128 price) external view returns (uint256 amount, uint256 count) {
        for (uint64 current = isBuy ? bestBuy : bestSell; current != 0; current = orders[current].next) {
            if (isBuy ? orders[current].price < price : orders[current].price > price) break;
            amount += orders[current].amount;
            count++;
        }
    }

    function buyFromHead(uint128 price, uint96 amount) private returns (uint96) {
        while (amount > 0 && bestSell != 0) {
            Order storage offer = orders[bestSell];
            if (offer.price > price) break;
            uint96 filled = amount < offer.amount ? amount : offer.amount;
            uint256 paid = cost(filled, offer.price);
            quoteOf[offer.maker] += paid;
            baseOf[msg.sender] += filled;
            quoteOf[msg.sender] += cost(filled, price) - paid; // was taken at the buyer's own price
            amount -= filled;
            close(offer, bestSell, filled, paid);
        }
        return amount;
    }

    function sellToHead(uint128 price, uint96 amount) private returns (uint96) {
        while (amount > 0 && bestBuy != 0) {
            Order storage bid = orders[bestBuy];
            if (bid.price < price) break;
            uint96 filled = amount < bid.amount ? amount : bid.amount;
            uint256 paid = cost(filled, bid.price);
            baseOf[bid.maker] += filled;
            quoteOf[msg.sender] += paid;
            amount -= filled;
            close(bid, bestBuy, filled, paid);
        }
        return amount;
    }

    function close(Order storage order, uint64 id, uint96 filled, uint256 paid) private {
        volume += paid;
        emit Filled(id, msg.sender, filled, paid);
        if (filled == order.amount) {
            setHead(order.isBuy, order.next);
            delete orders[id];
        } else {
            order.amount -= filled;
        }
    }

    function insert(uint64 id, bool isBuy, uint128 price) private {
        uint64 before = 0;
        uint64 current = isBuy ? bestBuy : bestSell;
        while (current != 0 && (isBuy ? orders[current].price >= price : orders[current].price <= price)) {
            before = current;
            current = orders[current].next;
        }
        orders[id].next = current;
        if (before == 0) {
            setHead(isBuy, id);
        } else {
            orders[before].next = id;
        }
    }

    function setHead(bool isBuy, uint64 id) private {
        if (isBuy) {
            bestBuy = id;
        } else {
            bestSell = id;
        }
    }

    function take(mapping(address => uint256) storage held, uint256 amount) private {
        uint256 has = held[msg.sender];
        if (has < amount) revert NotEnough(has, amount);
        held[msg.sender] = has - amount;
    }

    function cost(uint96 amount, uint128 price) private pure returns (uint256) {
        return uint256(amount) / LOT * price;
    }
}
