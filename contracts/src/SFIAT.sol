// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControlDefaultAdminRules} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Pausable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Pausable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/**
 * @title SFIAT, money of the ledger on a chain
 * @notice A token for each cent of the ledger's asset 2 that was withdrawn. It is made only for an intent that moved as
 * much within the ledger, once for each, and whoever holds it burns it to have it back there.
 * @dev Amounts are minor units: cents. Nobody can take what another holds: there is neither a seizure nor an upgrade.
 */
contract SFIAT is ERC20, ERC20Burnable, ERC20Pausable, ERC20Permit, ERC3009, AccessControlDefaultAdminRules {
    /// @notice May mint for intents: the mesh's operator.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    /// @notice May stop every movement, and let them go on.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    /// @notice The intents that were minted for, by their EIP-712 digest.
    mapping(bytes32 intentDigest => bool) public isMinted;

    /// @notice `amount` was minted to `to`, for the withdrawal whose intent has this digest.
    event Minted(bytes32 indexed intentDigest, address indexed to, uint256 amount);

    /// @notice This intent was minted for, and is not again, whatever is asked.
    error IntentAlreadyMinted(bytes32 intentDigest);
    /// @notice No intent has this digest.
    error IntentDigestInvalid();
    /// @notice Nothing is not minted.
    error AmountInvalid();

    /**
     * @param admin Grants and revokes roles; changed in two steps, at least `adminDelay` apart.
     * @param adminDelay In seconds.
     */
    constructor(address admin, uint48 adminDelay, address minter, address pauser)
        ERC20("SFIAT", "SFIAT")
        ERC20Permit("SFIAT")
        AccessControlDefaultAdminRules(adminDelay, admin)
    {
        _grantRole(MINTER_ROLE, minter);
        _grantRole(PAUSER_ROLE, pauser);
    }

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 2;
    }

    /// @notice Mints what an intent withdrew from the ledger. Safe to repeat: the second time reverts.
    function mint(bytes32 intentDigest, address to, uint256 amount) external onlyRole(MINTER_ROLE) {
        require(intentDigest != 0, IntentDigestInvalid());
        require(amount != 0, AmountInvalid());
        require(!isMinted[intentDigest], IntentAlreadyMinted(intentDigest));
        isMinted[intentDigest] = true;
        emit Minted(intentDigest, to, amount);
        _mint(to, amount);
    }

    /// @notice Stops every transfer, mint and burn.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Lets them go on.
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Pausable) {
        super._update(from, to, value);
    }
}
