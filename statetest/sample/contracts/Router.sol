// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IToken, Pool} from "./Pool.sol";

/// Pays into pools on behalf of its caller, and keeps the promises about price and time that a pool does not.
contract Router {
    error Late(uint256 deadline, uint256 time);
    error OutTooLow(uint256 out, uint256 outMin);

    modifier until(uint256 deadline) {
        if (block.timestamp > deadline) revert Late(deadline, block.timestamp);
        _;
    }

    function addLiquidity(Pool pool, uint256 amount0, uint256 amount1, uint256 deadline)
        external
        until(deadline)
        returns (uint256)
    {
        IToken(pool.token0()).transferFrom(msg.sender, address(pool), amount0);
        IToken(pool.token1()).transferFrom(msg.sender, address(pool), amount1);
        return pool.deposit(msg.sender);
    }

    /// Swaps `amountIn` of `tokenIn` through `pools`, one after the other.
    function swapExactIn(Pool[] calldata pools, address tokenIn, uint256 amountIn, uint256 outMin, uint256 deadline)
        external
        until(deadline)
        returns (uint256 amount)
    {
        amount = amountIn;
        IToken(tokenIn).transferFrom(msg.sender, address(pools[0]), amountIn);
        for (uint256 i = 0; i < pools.length; i++) {
            address to = i + 1 < pools.length ? address(pools[i + 1]) : msg.sender;
            (amount, tokenIn) = hop(pools[i], tokenIn, amount, to);
        }
        if (amount < outMin) revert OutTooLow(amount, outMin);
    }

    /// What `amountIn` would bring.
    function quote(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) public pure returns (uint256) {
        uint256 afterFee = amountIn * 997;
        return afterFee * reserveOut / (reserveIn * 1000 + afterFee);
    }

    function hop(Pool pool, address tokenIn, uint256 amountIn, address to) private returns (uint256 out, address tokenOut) {
        (uint112 reserve0, uint112 reserve1,) = pool.reserves();
        address token0 = pool.token0();
        if (tokenIn == token0) {
            out = quote(amountIn, reserve0, reserve1);
            tokenOut = pool.token1();
            pool.swap(0, out, to);
        } else {
            out = quote(amountIn, reserve1, reserve0);
            tokenOut = token0;
            pool.swap(out, 0, to);
        }
    }
}
