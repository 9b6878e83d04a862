import { expect, it } from "vitest";
import { createCheckoutWatch } from "./watch.ts";

const full = () => new Error("full");

it("tells those who watch a checkout when it changes, and nobody else", () => {
  const watch = createCheckoutWatch(10, full);
  const told: string[] = [];
  const stop = watch.listen("a", () => told.push("a"));
  watch.listen("b", () => told.push("b"));
  watch.changed("a");
  expect(told).toEqual(["a"]);
  stop();
  watch.changed("a");
  expect(told).toEqual(["a"]);
});

it("tells everyone when any may have changed", () => {
  const watch = createCheckoutWatch(10, full);
  const told: string[] = [];
  watch.listen("a", () => told.push("a"));
  watch.listen("b", () => told.push("b"));
  watch.changedAny();
  expect(told).toEqual(["a", "b"]);
});

it("takes no more watchers than it may, and again when some have left", () => {
  const watch = createCheckoutWatch(2, full);
  const listen = (intentId: string) => watch.listen(intentId, () => {});
  const stop = listen("a");
  listen("a");
  expect(() => listen("b")).toThrow("full");
  stop();
  stop();
  listen("b");
  expect(() => listen("b")).toThrow("full");
});
