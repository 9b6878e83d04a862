import { describe, expect, test } from "vitest";
import { intentConfig } from "./config.ts";
import { intentDomain } from "./digest.ts";

const contract = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const needed = { EIP712_VERIFYING_CONTRACT: contract.toLowerCase(), SIGNERS_FILE: "signers.json" };

describe("intentConfig", () => {
  test("the defaults", () => {
    expect(intentConfig(needed)).toEqual({
      domain: intentDomain({
        environment: "development",
        clusterId: 0n,
        chainId: 31_337n,
        verifyingContract: contract,
      }),
      limits: { unitsMax: 1_000_000n },
      signersFile: "signers.json",
      approvalsPath: undefined,
    });
  });

  test("what is given", () => {
    const config = intentConfig({
      ...needed,
      SOVR_ENVIRONMENT: "production",
      TIGERBEETLE_CLUSTER_ID: "7",
      EIP712_CHAIN_ID: "137",
      AMOUNT_MAX_PER_INTENT: "50",
      APPROVALS_PATH: "approvals.yaml",
    });
    expect(config.domain).toEqual(
      intentDomain({
        environment: "production",
        clusterId: 7n,
        chainId: 137n,
        verifyingContract: contract,
      }),
    );
    expect(config.limits).toEqual({ unitsMax: 50n });
    expect(config.approvalsPath).toBe("approvals.yaml");
  });

  test.each([
    [{ EIP712_VERIFYING_CONTRACT: undefined }, "EIP712_VERIFYING_CONTRACT is missing"],
    [
      { EIP712_VERIFYING_CONTRACT: "0x12" },
      'EIP712_VERIFYING_CONTRACT is "0x12": expected an address',
    ],
    [{ SIGNERS_FILE: "" }, "SIGNERS_FILE is missing"],
    [{ EIP712_CHAIN_ID: "-1" }, 'EIP712_CHAIN_ID is "-1"'],
    [{ TIGERBEETLE_CLUSTER_ID: "x" }, 'TIGERBEETLE_CLUSTER_ID is "x"'],
    [{ AMOUNT_MAX_PER_INTENT: "1.5" }, 'AMOUNT_MAX_PER_INTENT is "1.5"'],
  ])("%j stops the start", (change, message) => {
    expect(() => intentConfig({ ...needed, ...change })).toThrow(message);
  });
});
