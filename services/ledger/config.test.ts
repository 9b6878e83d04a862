import { describe, expect, test } from "vitest";
import { ConfigError } from "#common/process/environment.ts";
import { ledgerConfig } from "./config.ts";

const env = {
  JWT_JWKS_FILE: "/keys/jwks.json",
  EMBEDDED_LEDGER_PATH: "/data/ledger.sqlite",
  DATABASE_URL: "postgres://sovr:secret@127.0.0.1:5433/sovr",
};

describe("the Ledger's configuration", () => {
  test("listens where the others expect the Ledger", () => {
    const { runtime } = ledgerConfig(env);
    expect([runtime.grpc.port, runtime.connect.port, runtime.metrics.port]).toEqual([
      5101, 5201, 5301,
    ]);
  });

  test.each(["JWT_JWKS_FILE", "EMBEDDED_LEDGER_PATH", "DATABASE_URL"])("needs %s", (name) => {
    expect(() => ledgerConfig({ ...env, [name]: "" })).toThrow(ConfigError);
  });
});
