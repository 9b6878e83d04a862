import { expect, test } from "vitest";
import { BytesBudget } from "./bytes-budget.ts";

const small = { path: "/small", bytesMax: 100 };
const large = { path: "/large", bytesMax: 150 };
const budget = () => new BytesBudget({ inAllMax: 200, requestMin: 10 });

test("what is announced is taken at once, and given back once", () => {
  const bytes = budget();
  const claim = bytes.claim(small, 60);
  expect(bytes.taken).toBe(60);
  expect(() => bytes.claim(small, 41)).toThrow("At most 100 bytes of requests to one method");
  claim.arrive(60);
  expect(bytes.taken).toBe(60);
  claim.release();
  claim.release();
  expect(bytes.taken).toBe(0);
});

test("what is not announced is taken as it comes", () => {
  const bytes = budget();
  const claim = bytes.claim(small, 0);
  expect(bytes.taken).toBe(10);
  claim.arrive(4);
  claim.arrive(4);
  expect(bytes.taken).toBe(10);
  claim.arrive(50);
  expect(bytes.taken).toBe(58);
  expect(() => claim.arrive(50)).toThrow("At most 100 bytes");
  claim.release();
  // What comes after the end counts for nothing.
  claim.arrive(1_000);
  expect(bytes.taken).toBe(0);
});

test("methods share what the process has, and a refusal takes nothing", () => {
  const bytes = budget();
  const claims = [bytes.claim(large, 150), bytes.claim(small, 40)];
  expect(() => bytes.claim(small, 20)).toThrow("At most 200 bytes of requests to one process");
  expect(bytes.taken).toBe(190);
  for (const claim of claims) claim.release();
  bytes.claim(small, 100);
});
