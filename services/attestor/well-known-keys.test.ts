import { expect, test } from "vitest";
import { wellKnownAddresses } from "./well-known-keys.ts";

test("are the accounts of development chains", () => {
  const addresses = wellKnownAddresses();
  expect(addresses.size).toBe(40);
  // The first and the twentieth of hardhat and anvil, and the first of ganache.
  expect(addresses).toContain("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
  expect(addresses).toContain("0x8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199");
  expect(addresses).toContain("0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1");
});
