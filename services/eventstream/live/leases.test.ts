import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Leases } from "./leases.ts";

function holder(log: string[], name: string) {
  return { granted: () => log.push(`${name} granted`), revoked: () => log.push(`${name} revoked`) };
}

test("grants as many as it may, the rest in the order in which they asked", () => {
  const log: string[] = [];
  const leases = new Leases({ grantedMax: 2, idleMs: 1_000 });
  const [first, second, third, fourth] = ["1", "2", "3", "4"].map((name) =>
    leases.request(holder(log, name)),
  );
  expect(log).toEqual(["1 granted", "2 granted"]);
  third?.release();
  first?.release();
  second?.release();
  expect(log).toEqual(["1 granted", "2 granted", "4 granted"]);
  expect([first, third, fourth].map((lease) => lease?.state)).toEqual([
    "released",
    "released",
    "granted",
  ]);
  fourth?.release();
  expect(leases.grantedCount).toBe(0);
});

test("takes a lease from one who idles while others wait, and from nobody else", async () => {
  const log: string[] = [];
  const leases = new Leases({ grantedMax: 2, idleMs: 20 });
  const idle = leases.request(holder(log, "idle"));
  leases.request(holder(log, "busy"));
  idle.setIdle(true);
  await sleep(100);
  expect(log).toEqual(["idle granted", "busy granted"]);
  const waiting = leases.request(holder(log, "waiting"));
  const last = leases.request(holder(log, "last"));
  await expect.poll(() => waiting.state).toBe("granted");
  await sleep(100);
  expect(log.slice(2)).toEqual(["idle revoked", "waiting granted"]);
  expect([idle.state, last.state]).toEqual(["revoked", "waiting"]);
  last.release();
});
