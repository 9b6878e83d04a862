// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/**
 * @title POSCR for development and tests
 * @notice Stands where the real POSCR is on a public chain, with the part of its interface that the mesh uses: `burnFrom`,
 * `decimals`, `permit`. Worth nothing.
 */
contract POSCR is ERC20, ERC20Burnable, ERC20Permit {
    /// @param holder Receives all there ever is, and gives it away.
    constructor(address holder, uint256 supply) ERC20("POSCR", "POSCR") ERC20Permit("POSCR") {
        _mint(holder, supply);
    }
}
