// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

interface IToken {
    function balanceOf(address holder) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// A market of two tokens that keeps the product of its reserves, less a fee of 0.3 %. Whoever calls has paid in before: the
/// pool looks at its balances.
contract Pool {
    uint256 private constant MINIMUM_SHARES = 1000;

    address public immutable token0;
    address public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;
    uint32 private lastBlock;
    uint256 public priceSum0;
    uint256 public priceSum1;
    uint256 public totalShares;
    mapping(address => uint256) public sharesOf;
    bool private entered;

    event Deposit(address indexed sender, uint256 amount0, uint256 amount1, uint256 shares);
    event Withdrawal(address indexed sender, uint256 amount0, uint256 amount1, address indexed to);
    event Swap(address indexed sender, uint256 in0, uint256 in1, uint256 out0, uint256 out1, address indexed to);
    event Sync(uint112 reserve0, uint112 reserve1);

    error Reentered();
    error NothingIn();
    error NothingOut();
    error TooMuchOut(uint256 out0, uint256 out1);
    error ProductShrank(uint256 before, uint256 afterwards);

    modifier once() {
        if (entered) revert Reentered();
        entered = true;
        _;
        entered = false;
    }

    constructor(address first, address second) {
        token0 = first;
        token1 = second;
    }

    function reserves() external view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, lastBlock);
    }

    function deposit(address to) external once returns (uint256 shares) {
        (uint256 balance0, uint256 balance1) = balances();
        uint256 amount0 = balance0 - reserve0;
        uint256 amount1 = balance1 - reserve1;
        if (totalShares == 0) {
            shares = squareRoot(amount0 * amount1) - MINIMUM_SHARES;
            sharesOf[address(0)] = MINIMUM_SHARES;
            totalShares = MINIMUM_SHARES;
        } else {
            uint256 by0 = amount0 * totalShares / reserve0;
            uint256 by1 = amount1 * totalShares / reserve1;
            shares = by0 < by1 ? by0 : by1;
        }
        if (shares == 0) revert NothingIn();
        sharesOf[to] += shares;
        totalShares += shares;
        update(balance0, balance1);
        emit Deposit(msg.sender, amount0, amount1, shares);
    }

    function withdraw(uint256 shares, address to) external once returns (uint256 amount0, uint256 amount1) {
        (uint256 balance0, uint256 balance1) = balances();
        amount0 = shares * balance0 / totalShares;
        amount1 = shares * balance1 / totalShares;
        if (amount0 == 0 || amount1 == 0) revert NothingOut();
        sharesOf[msg.sender] -= shares;
        totalShares -= shares;
        IToken(token0).transfer(to, amount0);
        IToken(token1).transfer(to, amount1);
        update(balance0 - amount0, balance1 - amount1);
        emit Withdrawal(msg.sender, amount0, amount1, to);
    }

    function swap(uint256 out0, uint256 out1, address to) external once {
        if (out0 == 0 && out1 == 0) revert NothingOut();
        (uint256 before0, uint256 before1) = (reserve0, reserve1);
        if (out0 >= before0 || out1 >= before1) revert TooMuchOut(out0, out1);
        if (out0 > 0) IToken(token0).transfer(to, out0);
        if (out1 > 0) IToken(token1).transfer(to, out1);
        (uint256 balance0, uint256 balance1) = balances();
        uint256 in0 = balance0 > before0 - out0 ? balance0 - (before0 - out0) : 0;
        uint256 in1 = balance1 > before1 - out1 ? balance1 - (before1 - out1) : 0;
        if (in0 == 0 && in1 == 0) revert NothingIn();
        uint256 product = before0 * before1 * 1000 ** 2;
        uint256 newProduct = (balance0 * 1000 - in0 * 3) * (balance1 * 1000 - in1 * 3);
        if (newProduct < product) revert ProductShrank(product, newProduct);
        update(balance0, balance1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }

    function balances() private view returns (uint256, uint256) {
        return (IToken(token0).balanceOf(address(this)), IToken(token1).balanceOf(address(this)));
    }

    function update(uint256 balance0, uint256 balance1) private {
        require(balance0 <= type(uint112).max && balance1 <= type(uint112).max, "reserve too large");
        uint32 now32 = uint32(block.timestamp);
        unchecked {
            uint32 elapsed = now32 - lastBlock;
            if (elapsed > 0 && reserve0 != 0 && reserve1 != 0) {
                priceSum0 += ((uint256(reserve1) << 112) / reserve0) * elapsed;
                priceSum1 += ((uint256(reserve0) << 112) / reserve1) * elapsed;
            }
        }
        reserve0 = uint112(balance0);
        reserve1 = uint112(balance1);
        lastBlock = now32;
        emit Sync(reserve0, reserve1);
    }

    function squareRoot(uint256 x) private pure returns (uint256 root) {
        if (x == 0) return 0;
        root = x;
        uint256 next = x / 2 + 1;
        while (next < root) {
            root = next;
            next = (x / next + next) / 2;
        }
    }
}
