import { expect, it } from "vitest";
import { createCheckoutWatch } from "./watch.ts";

const full = () => new Error("full");
const live = new AbortController().signal;

it("wakes those who watch a checkout when it changes, and nobody else", async () => {
  const watch = createCheckoutWatch(10, full);
  const [one, other] = [watch.open("a"), watch.open("b")];
  let isOtherWoken = false;
  void other.next(live).then(() => {
    isOtherWoken = true;
  });
  const woken = one.next(live);
  watch.changed("a");
  expect(await woken).toBe(true);
  expect(isOtherWoken).toBe(false);
  one.close();
  other.close();
});

it("keeps a change that nobody was waiting for, and many as one", async () => {
  const watch = createCheckoutWatch(10, full);
  const changes = watch.open("a");
  watch.changed("a");
  watch.changedAny();
  expect(await changes.next(live)).toBe(true);
  const stopped = new AbortController();
  const next = changes.next(stopped.signal);
  stopped.abort();
  expect(await next).toBe(false);
  changes.close();
});

it("takes no more watchers than it may, and again when some have left", () => {
  const watch = createCheckoutWatch(2, full);
  const first = watch.open("a");
  watch.open("a");
  expect(() => watch.open("b")).toThrow("full");
  first.close();
  first.close();
  watch.open("b");
  expect(() => watch.open("b")).toThrow("full");
});
