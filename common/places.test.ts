import { expect, test } from "vitest";
import { Places } from "./places.ts";

test("a place that was given back twice is free once", () => {
  const places = new Places(2, () => new Error("full"));
  const [leave] = [places.take(), places.take()];
  expect(() => places.take()).toThrow("full");
  leave();
  leave();
  expect(places.taken).toBe(1);
  places.take();
  expect(() => places.take()).toThrow("full");
});
