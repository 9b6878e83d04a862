// Goal: the golden vectors are what ethers and plain hashes compute. Method: compute them again and compare.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  approvalVectors,
  cursorVectors,
  eip712Vectors,
  transferIdVectors,
  treeVectors,
  walletAccountVectors,
} from "../vectors/generate.ts";

test.each([
  ["eip712.json", eip712Vectors],
  ["approvals.json", approvalVectors],
  ["trees.json", treeVectors],
  ["transfer-ids.json", transferIdVectors],
  ["wallet-accounts.json", walletAccountVectors],
  ["cursors.json", cursorVectors],
])("%s is what test/vectors/generate.ts writes", (name, compute) => {
  const committed: unknown = JSON.parse(
    readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8"),
  );
  expect(committed).toEqual(JSON.parse(JSON.stringify(compute())));
});
