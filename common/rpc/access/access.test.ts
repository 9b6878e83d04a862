import { create, setExtension } from "@bufbuild/protobuf";
import { MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { AccessSchema, access, Scope } from "#gen/sovr/common/v1/access_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { createSampleService } from "../../../test/support/rpc/sample-service.ts";
import { planMethods } from "../method-plan.ts";
import { accessOf, requireAccess, scopeName, scopesOf } from "./access.ts";

/** A service with one method, with or without the access option. */
function serviceWith(anyOf: Scope[] | undefined) {
  const options = create(MethodOptionsSchema);
  if (anyOf !== undefined) setExtension(options, access, create(AccessSchema, { anyOf }));
  return createSampleService(options);
}

describe("scopes", () => {
  it("have the form of a token", () => {
    expect(scopeName(Scope.LEDGER_READ)).toBe("ledger.read");
    expect(scopeName(Scope.ATTEST)).toBe("attest");
    expect(scopeName(Scope.ATTEST_HOUSE)).toBe("attest.house");
    expect(() => scopeName(Scope.UNSPECIFIED)).toThrow("no scope");
    expect(() => scopeName(999 as Scope)).toThrow("no scope");
  });

  it("are named by every method of the mesh", () => {
    for (const service of [AttestorService, ClearingService, EventStreamService, LedgerService]) {
      for (const { scopes } of planMethods(service)) expect(scopes.length).toBeGreaterThan(0);
    }
    expect(scopesOf(ClearingService.method.getClearing)).toEqual(["clearing.write", "ledger.read"]);
  });

  it("keep a service from starting when a method names none", () => {
    for (const service of [serviceWith(undefined), serviceWith([])]) {
      expect(() => planMethods(service)).toThrow("t.S.Do has no (sovr.common.v1.access) option");
    }
    expect(() => planMethods(serviceWith([Scope.UNSPECIFIED]))).toThrow("no scope");
    expect(planMethods(serviceWith([Scope.WALLET_OPEN]))[0]?.scopes).toEqual(["wallet.open"]);
  });
});

describe("requireAccess", () => {
  const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  const scopes = new Set(["ledger.read"]);

  it("refuses whoever is bound where all of the ledger is told", () => {
    const rule = accessOf(LedgerService.method.getTrialBalance);
    expect(() => requireAccess({ scopes, wallet: undefined }, rule)).not.toThrow();
    expect(() => requireAccess({ scopes, wallet }, rule)).toThrow(
      expect.objectContaining({ kind: "SCOPE_MISSING", metadata: { wallet } }),
    );
    const own = accessOf(LedgerService.method.getStatement);
    expect(() => requireAccess({ scopes, wallet }, own)).not.toThrow();
  });

  it("asks for a scope first", () => {
    const rule = accessOf(ClearingService.method.clearBatch);
    expect(() => requireAccess({ scopes, wallet: undefined }, rule)).toThrow(
      expect.objectContaining({ metadata: { scope: "clearing.batch" } }),
    );
  });
});
