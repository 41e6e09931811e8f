// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Loops over numbers: arithmetic of 256 bits, signed fixed point, memory as a table. Each result is kept, so that no caller
/// can say it was not computed.
contract Crunch {
    mapping(bytes32 => uint256) public results;

    event Computed(string what, uint256 input, uint256 result);

    function fibonacci(uint256 n) external {
        uint256 a = 0;
        uint256 b = 1;
        unchecked {
            for (uint256 i = 0; i < n; i++) {
                (a, b) = (b, a + b);
            }
        }
        keep("fibonacci", n, a);
    }

    /// Primes up to `n`, by a sieve of one byte per number.
    function primes(uint256 n) external {
        bytes memory crossed = new bytes(n + 1);
        uint256 count = 0;
        for (uint256 i = 2; i <= n; i++) {
            if (crossed[i] != 0) continue;
            count++;
            for (uint256 multiple = i * i; multiple <= n; multiple += i) {
                crossed[multiple] = 0x01;
            }
        }
        keep("primes", n, count);
    }

    /// The longest run of halving or tripling among the numbers up to `n`.
    function collatz(uint256 n) external {
        uint256 longest = 0;
        for (uint256 start = 1; start <= n; start++) {
            uint256 steps = 0;
            unchecked {
                for (uint256 x = start; x != 1; steps++) {
                    x = x % 2 == 0 ? x / 2 : 3 * x + 1;
                }
            }
            if (steps > longest) longest = steps;
        }
        keep("collatz", n, longest);
    }

    /// `base` to the power of `exponent` modulo a prime near 2^255, `rounds` times over.
    function power(uint256 base, uint256 exponent, uint256 rounds) external {
        uint256 modulus = 2 ** 255 - 19;
        uint256 result = base;
        for (uint256 round = 0; round < rounds; round++) {
            uint256 square = result % modulus;
            result = 1;
            for (uint256 rest = exponent; rest != 0; rest >>= 1) {
                if (rest & 1 == 1) result = mulmod(result, square, modulus);
                square = mulmod(square, square, modulus);
            }
            result = addmod(result, round, modulus);
        }
        keep("power", base, result);
    }

    /// Counts the points of a `size` by `size` grid that stay near the origin under z -> z * z + c, in fixed point.
    function mandelbrot(int256 size, uint256 iterations) external {
        int256 one = 1e9;
        uint256 inside = 0;
        for (int256 row = 0; row < size; row++) {
            for (int256 column = 0; column < size; column++) {
                int256 cx = (3 * one * column) / size - 2 * one;
                int256 cy = (2 * one * row) / size - one;
                int256 x = 0;
                int256 y = 0;
                uint256 i = 0;
                while (i < iterations && x * x + y * y <= 4 * one * one) {
                    (x, y) = ((x * x - y * y) / one + cx, (2 * x * y) / one + cy);
                    i++;
                }
                if (i == iterations) inside++;
            }
        }
        keep("mandelbrot", uint256(size), inside);
    }

    /// The trace of the product of two `n` by `n` matrices made from `seed`.
    function matrix(uint256 seed, uint256 n) external {
        uint256[] memory a = new uint256[](n * n);
        uint256[] memory b = new uint256[](n * n);
        for (uint256 i = 0; i < n * n; i++) {
            unchecked {
                seed = seed * 6364136223846793005 + 1442695040888963407;
            }
            a[i] = (seed >> 16) & 0xffff;
            b[i] = (seed >> 32) & 0xffff;
        }
        uint256 trace = 0;
        for (uint256 i = 0; i < n; i++) {
            for (uint256 j = 0; j < n; j++) {
                uint256 sum = 0;
                for (uint256 k = 0; k < n; k++) {
                    sum += a[i * n + k] * b[k * n + j];
                }
                if (i == j) trace += sum;
            }
        }
        keep("matrix", n, trace);
    }

    /// Sorts `n` numbers made from `seed` and keeps the middle one.
    function sort(uint256 seed, uint256 n) external {
        uint256[] memory numbers = new uint256[](n);
        for (uint256 i = 0; i < n; i++) {
            unchecked {
                seed = seed * 6364136223846793005 + 1442695040888963407;
            }
            numbers[i] = seed >> 128;
        }
        quicksort(numbers, 0, int256(n) - 1);
        keep("sort", n, numbers[n / 2]);
    }

    function quicksort(uint256[] memory numbers, int256 first, int256 last) private pure {
        if (first >= last) return;
        uint256 pivot = numbers[uint256(first + last) / 2];
        int256 low = first;
        int256 high = last;
        while (low <= high) {
            while (numbers[uint256(low)] < pivot) low++;
            while (pivot < numbers[uint256(high)]) high--;
            if (low <= high) {
                (numbers[uint256(low)], numbers[uint256(high)]) = (numbers[uint256(high)], numbers[uint256(low)]);
                low++;
                high--;
            }
        }
        quicksort(numbers, first, high);
        quicksort(numbers, low, last);
    }

    function keep(string memory what, uint256 input, uint256 result) private {
        results[keccak256(abi.encode(what, input))] = result;
        emit Computed(what, input, result);
    }
}
