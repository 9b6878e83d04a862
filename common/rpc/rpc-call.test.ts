// Goal: an operator who is asked about an intent finds its line, and an outage does not fill the log. Method: calls that end
// in each way, and the lines that they leave.
import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { createLogger } from "#common/process/logger.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { planMethods } from "./method-plan.ts";
import { RpcCall } from "./rpc-call.ts";
import { createMethodStats } from "./rpc-metrics.ts";

const intentId = "0198c0de-0000-7000-8000-000000000001";

function startCalls() {
  const plans = planMethods(ClearingService);
  const plan = plans.find(({ method }) => method.name === "Clear");
  const stats = plan && createMethodStats(plans).get(plan);
  if (plan === undefined || stats === undefined) throw new Error("there is no Clear");
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const logger = createLogger("t", "debug", { format: "json", destination });
  const header = (name: string) => (name === "x-request-id" ? "r-1" : undefined);
  return { lines, stats, call: () => new RpcCall({ plan, stats, header, logger }) };
}

const unknown = () => new DomainError("OUTCOME_UNKNOWN", "not known", { metadata: { intentId } });

describe("a call that ends", () => {
  it.each([
    ["warn", "OUTCOME_UNKNOWN", unknown()],
    ["info", "NOT_SENT", new DomainError("NOT_SENT", "late", { metadata: { intentId } })],
    [
      "info",
      "INTENT_FAILED",
      new DomainError("INTENT_FAILED", "dead", {
        metadata: { intentId, firstReason: "INSUFFICIENT_FUNDS" },
      }),
    ],
    [
      "debug",
      "INTENT_ID_REUSED",
      new DomainError("INTENT_ID_REUSED", "taken", { metadata: { intentId } }),
    ],
  ])("is told at %s with %s, the intent and the request", (level, reason, error) => {
    const { lines, call } = startCalls();
    call().fail(error);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level, reason, intentId, requestId: "r-1" });
  });

  it("is counted by its reason, and by none where there is none", () => {
    const { stats, call } = startCalls();
    call().finish();
    call().fail(unknown());
    call().fail(unknown());
    const ends: Record<string, number> = {};
    stats.observe((kind, value, { code, reason }) => {
      if (kind === "handled") ends[`${code} ${reason}`] = value;
    });
    expect(ends).toEqual({ "OK ": 1, "DEADLINE_EXCEEDED OUTCOME_UNKNOWN": 2 });
  });

  it("leaves no more lines of an outage than a disk takes, and every line of a fault of ours", () => {
    const { lines, call } = startCalls();
    for (let each = 0; each < 500; each += 1) call().fail(unknown());
    expect(lines.length).toBeLessThanOrEqual(60); // some seconds at the most, on the slowest machine
    const before = lines.length;
    for (let each = 0; each < 50; each += 1) call().fail(new Error("a fault of ours"));
    expect(lines.length - before).toBe(50);
  });
});
