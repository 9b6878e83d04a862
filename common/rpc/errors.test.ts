import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { DomainError, invalidField } from "#common/domain-error.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import {
  commonErrors,
  type ErrorMap,
  reasonName,
  reasonOf,
  toConnectError,
  toStatus,
} from "./errors.ts";
import { fromServiceError, toGrpcStatus } from "./grpc/status.ts";

const map = {
  ...commonErrors,
  INSUFFICIENT_FUNDS: { code: Code.FailedPrecondition, reason: ErrorReason.INSUFFICIENT_FUNDS },
} satisfies ErrorMap<string>;

describe("toConnectError", () => {
  it("gives a domain error its code, its message and exactly one ErrorInfo", () => {
    const error = toConnectError(
      new DomainError("INSUFFICIENT_FUNDS", "No.", { metadata: { leg: "0" } }),
      map,
    );
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe("No.");
    expect(error.details).toHaveLength(1);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "INSUFFICIENT_FUNDS", domain: "sovr", metadata: { leg: "0" } },
    ]);
  });

  it("knows the common kinds even if a service's map leaves them out", () => {
    expect(toConnectError(new DomainError("DRAINING", "Bye."), {}).code).toBe(Code.Unavailable);
  });

  it("adds BadRequest to violations", () => {
    const error = toConnectError(
      invalidField("intent.wallet", "wallet.zero", "must not be zero"),
      map,
    );
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([
      { field: "intent.wallet", reason: "WALLET_ZERO", description: "must not be zero" },
    ]);
  });

  it("adds RetryInfo to UNAVAILABLE and RESOURCE_EXHAUSTED, and to nothing else", () => {
    for (const [kind, { code }] of Object.entries(commonErrors)) {
      const retries = toConnectError(new DomainError(kind, "x"), map).findDetails(RetryInfoSchema);
      expect(retries).toHaveLength(
        code === Code.Unavailable || code === Code.ResourceExhausted ? 1 : 0,
      );
    }
  });

  it("hides everything else behind INTERNAL, with the cause for the log and an id for the caller", () => {
    const cause = new Error("password hunter2");
    const error = toConnectError(cause, map, "4bf9");
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain("hunter2");
    expect(error.rawMessage).toContain("4bf9");
    expect(error.cause).toBe(cause);
    expect(reasonOf(error)).toBe("INTERNAL");
    expect(reasonOf(toConnectError(new DomainError("toString", "not a kind"), map))).toBe(
      "INTERNAL",
    );
    expect(reasonOf(toConnectError(new ConnectError("upstream", Code.NotFound), map))).toBe(
      "INTERNAL",
    );
  });

  it("passes a peer's error on, without the peer's headers", () => {
    const peers = toConnectError(new DomainError("DRAINING", "Bye."), map);
    peers.metadata.set("x-peer", "secret");
    const passed = toConnectError(peers, map);
    expect(passed.code).toBe(Code.Unavailable);
    expect(passed.details).toEqual(peers.details);
    expect([...passed.metadata]).toEqual([]);
  });

  it("bounds what travels in a trailer, and never leaves half a character", () => {
    const long = "x".repeat(1_023) + "😀".repeat(1_000);
    const violations = Array.from({ length: 100 }, (_, i) => ({
      field: `f[${i}]`,
      rule: "r",
      description: long,
    }));
    const error = toConnectError(
      new DomainError("INVALID_FIELD", long, { metadata: { field: long, rule: "r" }, violations }),
      map,
    );
    expect(() => encodeURI(error.rawMessage)).not.toThrow();
    expect(toBinary(StatusSchema, toStatus(error)).byteLength).toBeLessThan(8_192);
  });
});

describe("commonErrors", () => {
  it("maps each kind to the reason of the same name", () => {
    for (const [kind, { reason }] of Object.entries(commonErrors))
      expect(reasonName(reason)).toBe(kind);
  });
});

describe("on the wire", () => {
  it("says the same outside and inside of the details, and comes back as it was", () => {
    const error = toConnectError(invalidField("a", "b.c", "Ünwell"), map);
    const status = toGrpcStatus(error);
    const inner = fromBinary(
      StatusSchema,
      status.metadata.get("grpc-status-details-bin")[0] as Buffer,
    );
    expect([inner.code, inner.message]).toEqual([status.code, status.details]);
    const back = fromServiceError(Object.assign(new Error("x"), status));
    expect(back.code).toBe(error.code);
    expect(back.rawMessage).toBe(error.rawMessage);
    expect(back.findDetails(ErrorInfoSchema)).toEqual(error.findDetails(ErrorInfoSchema));
    expect(back.findDetails(BadRequestSchema)).toEqual(error.findDetails(BadRequestSchema));
  });
});
