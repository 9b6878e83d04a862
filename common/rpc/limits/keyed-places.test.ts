import { expect, test } from "vitest";
import { KeyedPlaces } from "./keyed-places.ts";

const onFull = (limit: number, isOfKey: boolean) =>
  new Error(`${limit} ${isOfKey ? "each" : "in all"}`);

test("a key has its places, and what others take leaves them alone", () => {
  const places = new KeyedPlaces({ ofKeyMax: 2, onFull });
  places.take("a");
  const leave = places.take("a");
  expect(() => places.take("a")).toThrow("2 each");
  places.take("b");
  leave();
  leave();
  places.take("a");
  expect(() => places.take("a")).toThrow("2 each");
});

test("all keys together have theirs, and a refusal takes none", () => {
  const places = new KeyedPlaces({ ofKeyMax: 2, inAllMax: 3, onFull });
  places.take("a");
  places.take("a");
  const leave = places.take("b");
  expect(() => places.take("b")).toThrow("3 in all");
  expect(() => places.take("c")).toThrow("3 in all");
  // Of its own limit a key hears first.
  expect(() => places.take("a")).toThrow("2 each");
  leave();
  places.take("c");
});

test("a place that is left after its key was forgotten counts for nobody", () => {
  const places = new KeyedPlaces({ ofKeyMax: 1, onFull });
  const leave = places.take("a");
  leave();
  places.take("a");
  leave();
  expect(() => places.take("a")).toThrow("1 each");
});
