import { expect, it } from "vitest";
import { clearingConfig } from "./config.ts";

const environment = {
  JWT_JWKS_FILE: "/keys/jwks.json",
  DATABASE_URL: "postgres://sovr:secret@127.0.0.1/sovr",
  EMBEDDED_LEDGER_PATH: "/data/ledger.db",
  SIGNERS_FILE: "/keys/signers.json",
  EIP712_VERIFYING_CONTRACT: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
};

it("reads what it needs and fills in the rest", () => {
  expect(clearingConfig(environment)).toMatchObject({
    runtime: { name: "clearing", grpc: { host: "127.0.0.1", port: 5102 } },
    engine: { clusterId: 0n, batchMax: 8189, engine: { kind: "embedded" } },
    domain: { verifyingContract: "0x5FbDB2315678afecb367f032d93F642f64180aa3", chainId: 31_337n },
    signersFile: "/keys/signers.json",
    approvalsPath: undefined,
  });
});

it.each([
  ["DATABASE_URL", undefined],
  ["SIGNERS_FILE", undefined],
  ["EMBEDDED_LEDGER_PATH", undefined],
  ["EIP712_VERIFYING_CONTRACT", "0x12"],
  ["AMOUNT_MAX_PER_INTENT", "-1"],
  ["TIGERBEETLE_BATCH_MAX", "63"],
])("names %s when it is %s", (name, value) => {
  const variable = name === "EMBEDDED_LEDGER_PATH" ? "TIGERBEETLE_ADDRESSES" : name;
  expect(() => clearingConfig({ ...environment, [name]: value })).toThrow(variable);
});
