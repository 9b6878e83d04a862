import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { createSettleTelemetry, overdueMs } from "./telemetry.ts";

function logged() {
  const lines: { level: number | string; intentId?: string; end?: string }[] = [];
  const destination = new PassThrough().setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.trim().split("\n")) lines.push(JSON.parse(line));
  });
  const telemetry = createSettleTelemetry(
    createLogger("checkout", "debug", { format: "json", destination }),
  );
  return { telemetry, lines };
}

it("says aloud what does not come on for a quarter of an hour, and each end that wants somebody", async () => {
  const { telemetry, lines } = logged();
  const error = new Error("Stripe refuses");
  telemetry.checkFailed({ intentId: "soon", overdueMs: overdueMs - 1 }, error);
  telemetry.checkFailed({ intentId: "overdue", overdueMs }, error);
  telemetry.checkFailed(undefined, error);
  telemetry.alarm({ end: "NOT_RETURNED", intentId: "ended", cause: error });
  await expect.poll(() => lines.length).toBe(4);
  const levels = lines.map(({ level, intentId }) => [intentId, level]);
  const [warn, loud] = [levels[0]?.[1], levels[1]?.[1]];
  expect(warn).not.toBe(loud);
  expect(levels).toEqual([
    ["soon", warn],
    ["overdue", loud],
    [undefined, warn],
    ["ended", loud],
  ]);
  expect(lines[3]?.end).toBe("NOT_RETURNED");
});
