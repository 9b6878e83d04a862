import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { DomainError, invalidField, type Reason } from "#common/domain-error.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { takeKeyFaults } from "../../test/support/rpc/key-faults.ts";
import { reasonOf, toConnectError, toStatus } from "./errors.ts";
import { fromServiceError, toGrpcStatus } from "./grpc/status.ts";
import { isReason, keyFault, ruleOf } from "./reasons.ts";

const reasons = Object.keys(ErrorReason).filter(isReason);

/** An error with a reason that this test does not choose, and the keys that it must have. */
function errorOf(reason: Reason): DomainError {
  const metadata = Object.fromEntries(ruleOf(reason).requiredKeys.map((key) => [key, "x"]));
  return DomainError.received(reason, "x", { metadata });
}

describe("toConnectError", () => {
  it("gives a domain error its code, its message and exactly one ErrorInfo", () => {
    const metadata = { intentId: "i", leg: "0", accountId: "7" };
    const error = toConnectError(new DomainError("INSUFFICIENT_FUNDS", "No.", { metadata }));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe("No.");
    expect(error.details).toHaveLength(1);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "INSUFFICIENT_FUNDS", domain: "sovr", metadata },
    ]);
  });

  it("says that the deadline passed only if it did, and else when to come back", () => {
    const metadata = { intentId: "i" };
    const late = toConnectError(new DomainError("OUTCOME_UNKNOWN", "Late.", { metadata }));
    expect(late.code).toBe(Code.DeadlineExceeded);
    expect(late.findDetails(RetryInfoSchema)).toEqual([]);
    const early = new DomainError("OUTCOME_UNKNOWN", "Broken.", { metadata, early: true });
    expect(toConnectError(early).code).toBe(Code.Unavailable);
    expect(toConnectError(early).findDetails(RetryInfoSchema)).toHaveLength(1);
    const plain = new DomainError("INTENT_NOT_FOUND", "No.", { metadata, early: true });
    expect(toConnectError(plain).code).toBe(Code.NotFound);
  });

  it("adds BadRequest to violations", () => {
    const error = toConnectError(invalidField("intent.wallet", "wallet.zero", "must not be zero"));
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([
      { field: "intent.wallet", reason: "WALLET_ZERO", description: "must not be zero" },
    ]);
  });

  it("adds RetryInfo to UNAVAILABLE and RESOURCE_EXHAUSTED, and to nothing else", () => {
    for (const reason of reasons) {
      const { code } = ruleOf(reason);
      expect(toConnectError(errorOf(reason)).findDetails(RetryInfoSchema), reason).toHaveLength(
        code === Code.Unavailable || code === Code.ResourceExhausted ? 1 : 0,
      );
    }
  });

  it("hides everything else behind INTERNAL, with the cause for the log and an id for the caller", () => {
    const cause = new Error("password hunter2");
    const error = toConnectError(cause, "4bf9");
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain("hunter2");
    expect(error.rawMessage).toContain("4bf9");
    expect(error.cause).toBe(cause);
    expect(reasonOf(error)).toBe("INTERNAL");
    expect(
      reasonOf(
        toConnectError(DomainError.received("toString" as never, "not a kind", { metadata: {} })),
      ),
    ).toBe("INTERNAL");
    expect(reasonOf(toConnectError(new ConnectError("upstream", Code.NotFound)))).toBe("INTERNAL");
  });

  it("passes a peer's error on, without the peer's headers", () => {
    const peers = toConnectError(new DomainError("DRAINING", "Bye."));
    peers.metadata.set("x-peer", "secret");
    const passed = toConnectError(peers);
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
    );
    expect(() => encodeURI(error.rawMessage)).not.toThrow();
    expect(toBinary(StatusSchema, toStatus(error)).byteLength).toBeLessThan(8_192);
  });
});

describe("the metadata keys", () => {
  it("of a reason are not others, or the program does not compile", () => {
    const metadata = { intentId: "i", expireTime: "t" };
    expect(new DomainError("INTENT_EXPIRED", "x", { metadata }).metadata).toBe(metadata);
    // @ts-expect-error: no such reason
    new DomainError("INTENT_EXPIRE", "x");
    // @ts-expect-error: a required key is missing
    new DomainError("INTENT_EXPIRED", "x", { metadata: { intentId: "i" } });
    // @ts-expect-error: all required keys are missing
    new DomainError("INTENT_EXPIRED", "x");
    // @ts-expect-error: an unknown key
    new DomainError("NOT_SENT", "x", { metadata: { intent: "i" } });
    // @ts-expect-error: a key of a reason that has none
    new DomainError("DRAINING", "x", { metadata: { intentId: "i" } });
    // @ts-expect-error: of two reasons, both must be served
    new DomainError(reasons.length > 1 ? "INTENT_EXPIRED" : "NOT_SENT", "x");
  });

  it("are held to the rule where they are known only at run time", () => {
    expect(reasons.flatMap((reason) => keyFault(reason, errorOf(reason).metadata) ?? [])).toEqual(
      [],
    );
    expect(keyFault("INTENT_EXPIRED", { intentId: "i" })).toContain("without [expireTime]");
    expect(keyFault("NOT_SENT", { intentId: "i", leg: "0" })).toContain("unknown [leg]");
  });

  it("that are wrong cost nobody the answer, and are told once", () => {
    const metadata = { intentId: "i", shoe: "7" };
    const wrong = DomainError.received("INTENT_EXPIRED", "x", { metadata });
    for (let i = 0; i < 2; i += 1) {
      const error = toConnectError(wrong);
      expect(error.code).toBe(Code.FailedPrecondition);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ metadata }]);
    }
    expect(takeKeyFaults()).toEqual([
      "INTENT_EXPIRED went out without [expireTime] and with unknown [shoe]",
    ]);
  });
});

describe("on the wire", () => {
  it("says the same outside and inside of the details, and comes back as it was", () => {
    const error = toConnectError(invalidField("a", "b.c", "Ünwell"));
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
