import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { DomainError, type Reason } from "#common/domain-error.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService, ListAssetsResponseSchema } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { createSampleService } from "../../../test/support/rpc/sample-service.ts";
import { toConnectError } from "../errors.ts";
import { repeatUntil, retryAsTold } from "./as-told.ts";

/** An error of a service; `retryAfterMs` is what its RetryInfo says, if it has one. */
function failure(reason: Reason, retryAfterMs = 0): ConnectError {
  return toConnectError(DomainError.received(reason, "not now", { metadata: {}, retryAfterMs }));
}

/** Fails with the errors in their order, and then succeeds. */
function attemptThat(...errors: unknown[]) {
  const attempt = async (leftMs: number) => {
    attempt.leftMs.push(leftMs);
    const error = errors[attempt.leftMs.length - 1];
    if (error !== undefined) throw error;
    return "done";
  };
  attempt.leftMs = [] as number[];
  return attempt;
}

const patient = { limitMs: 60_000, signal: undefined };

describe("repeatUntil", () => {
  it.each(["NOT_SENT", "OUTCOME_UNKNOWN", "LEDGER_UNAVAILABLE", "RECORDS_UNAVAILABLE"] as const)(
    "sends the same again after %s",
    async (reason) => {
      const attempt = attemptThat(failure(reason), failure(reason));
      expect(await repeatUntil(patient, attempt)).toBe("done");
      expect(attempt.leftMs).toHaveLength(3);
    },
  );

  it("sends the same again where the connection was cut", async () => {
    const cut = new ConnectError("read ECONNRESET", Code.Aborted);
    expect(await repeatUntil(patient, attemptThat(cut))).toBe("done");
  });

  it.each(["CREDENTIALS_MISSING", "CANCELLED", "METHOD_NOT_FOUND"] as const)(
    "takes %s for an answer",
    async (reason) => {
      const attempt = attemptThat(failure(reason));
      await expect(repeatUntil(patient, attempt)).rejects.toEqual(failure(reason));
      expect(attempt.leftMs).toHaveLength(1);
    },
  );

  it("believes in a fault of ours at the third time", async () => {
    const attempt = attemptThat(...Array.from({ length: 5 }, () => failure("INTERNAL")));
    await expect(repeatUntil(patient, attempt)).rejects.toMatchObject({ code: Code.Internal });
    expect(attempt.leftMs).toHaveLength(3);
  });

  it("waits for as long as it is told, and gives up at once where that is too long", async () => {
    const attempt = attemptThat(failure("LEDGER_UNAVAILABLE", 400));
    const beganMs = performance.now();
    await repeatUntil(patient, attempt);
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(399);
    const late = attemptThat(failure("LEDGER_UNAVAILABLE", 60_000));
    await expect(repeatUntil(patient, late)).rejects.toMatchObject({ code: Code.Unavailable });
    expect(late.leftMs).toHaveLength(1);
  });

  it("ends when its caller leaves", async () => {
    const left = new AbortController();
    const attempt = attemptThat(failure("LEDGER_UNAVAILABLE", 50_000));
    const call = repeatUntil({ limitMs: 60_000, signal: left.signal }, attempt);
    left.abort();
    await expect(call).rejects.toMatchObject({ code: Code.Unavailable });
    expect(attempt.leftMs).toHaveLength(1);
  });
});

describe("retryAsTold", () => {
  const options = { transport: { interceptors: [retryAsTold] } };

  it("repeats a read, each time with the time that is left", async () => {
    const told: number[] = [];
    const transport = createRouterTransport(({ service }) => {
      service(LedgerService, {
        listAssets: (_, context) => {
          told.push(context.timeoutMs() ?? 0);
          if (told.length < 3) throw failure("RECORDS_UNAVAILABLE");
          return create(ListAssetsResponseSchema);
        },
      });
    }, options);
    await createClient(LedgerService, transport).listAssets({}, { timeoutMs: 60_000 });
    expect(told).toHaveLength(3);
    expect(told.toSorted((a, b) => b - a)).toEqual(told);
    expect(told[2]).toBeLessThanOrEqual(60_000 - 300);
  });

  it("repeats a write whose id is its client's, and nothing that does not say that it may be", async () => {
    let calls = 0;
    const sample = createSampleService();
    const fail = () => {
      calls += 1;
      throw failure("OUTCOME_UNKNOWN");
    };
    const transport = createRouterTransport(({ service }) => {
      service(ClearingService, { clear: fail });
      service(sample, { do: fail } as never);
    }, options);
    const limit = { timeoutMs: 700 };
    await expect(createClient(ClearingService, transport).clear({}, limit)).rejects.toThrow();
    expect(calls).toBeGreaterThan(1);
    calls = 0;
    const call: (input: object, limit: object) => Promise<unknown> = Reflect.get(
      createClient(sample, transport),
      "do",
    );
    await expect(call({}, limit)).rejects.toThrow();
    expect(calls).toBe(1);
  });
});
