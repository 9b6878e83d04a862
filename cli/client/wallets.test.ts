import { expect, it } from "vitest";
import { readSettings } from "../state/settings.ts";
import { resolveAddress } from "./wallets.ts";

const settings = readSettings({ MESH_STATE: "/nowhere" });
const address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

it("takes an address in lower, upper and EIP-55 case", () => {
  for (const text of [address, address.toLowerCase(), `0x${address.slice(2).toUpperCase()}`])
    expect(resolveAddress(settings, text)).toBe(address);
});

it.each([
  ["0x12", /"0x12" is no address: it must be 0x and 40 hex digits/],
  [address.replace("C5", "c5"), /is no address: it is in mixed case, and not that of EIP-55/],
])("refuses %s, and says why", (text, message) => {
  expect(() => resolveAddress(settings, text)).toThrow(message);
});
