import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createWebhookInbox } from "./inbox.ts";
import type { StripeEvent } from "./ports.ts";

function event(eventId: string): StripeEvent {
  return { eventId, type: "refund.created", paymentIntentId: "pi_1", createTimeMs: 0 };
}

/** A store whose statements end when the test says so. */
function manualStore() {
  const statements: { readonly ids: string[]; end(known?: string[]): void; fail(): void }[] = [];
  const insert = (events: readonly StripeEvent[]) => {
    const ids = events.map(({ eventId }) => eventId);
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    statements.push({
      ids,
      end: (known = []) => resolve([...new Set(ids)].filter((id) => !known.includes(id))),
      fail: () => reject(new Error("away")),
    });
    return promise;
  };
  return { insert, statements };
}

describe("createWebhookInbox", () => {
  it("stores the first at once, and all that come meanwhile together", async () => {
    const store = manualStore();
    const inbox = createWebhookInbox(store);
    const first = inbox(event("a"));
    await expect.poll(() => store.statements.length).toBe(1);
    const results = ["b", "c", "b"].map((id) => inbox(event(id)));
    await nextTurn();
    expect(store.statements.map(({ ids }) => ids)).toEqual([["a"]]);
    store.statements[0]?.end();
    expect(await first).toBe(true);
    await expect.poll(() => store.statements[1]?.ids).toEqual(["b", "c", "b"]);
    store.statements[1]?.end(["c"]);
    expect(await Promise.all(results)).toEqual([true, false, false]);
  });

  it("answers no event before it is stored", async () => {
    const store = manualStore();
    const inbox = createWebhookInbox(store);
    let answered = false;
    const stored = inbox(event("a")).then(() => {
      answered = true;
    });
    await expect.poll(() => store.statements.length).toBe(1);
    await nextTurn();
    expect(answered).toBe(false);
    store.statements[0]?.end();
    await stored;
  });

  it("tells those of a statement that failed, and goes on with the next", async () => {
    const store = manualStore();
    const inbox = createWebhookInbox(store);
    const failed = inbox(event("a"));
    await expect.poll(() => store.statements.length).toBe(1);
    const next = inbox(event("b"));
    store.statements[0]?.fail();
    await expect(failed).rejects.toThrow("away");
    await expect.poll(() => store.statements.length).toBe(2);
    store.statements[1]?.end();
    expect(await next).toBe(true);
    const later = inbox(event("c"));
    await expect.poll(() => store.statements.length).toBe(3);
    store.statements[2]?.end();
    expect(await later).toBe(true);
  });

  it("refuses for now what would wait behind too many", async () => {
    const store = manualStore();
    const inbox = createWebhookInbox(store, 2);
    const first = inbox(event("a"));
    await expect.poll(() => store.statements.length).toBe(1);
    const waiting = [first, inbox(event("b")), inbox(event("c"))];
    await expect(inbox(event("d"))).rejects.toMatchObject({ kind: "RATE_LIMITED" });
    for (const index of [0, 1]) {
      await expect.poll(() => store.statements.length).toBe(index + 1);
      store.statements[index]?.end();
    }
    expect(await Promise.all(waiting)).toEqual([true, true, true]);
  });
});
