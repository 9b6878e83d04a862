import { randomBytes } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { addressOfPrivateKey, recoverAddress, signDigest } from "#common/intent/signature.ts";
import type { SignedDigest } from "./signature-message.ts";
import { startSignatureThreads } from "./signature-threads.ts";

const threads = startSignatureThreads(2);
afterAll(() => threads.close());

const hex = (length: number) => `0x${randomBytes(length).toString("hex")}`;

/** Good ones, ones of other digests, and ones that nobody made. */
function someSignatures(count: number): SignedDigest[] {
  return Array.from({ length: count }, (_, index) => {
    const digest = hex(32);
    const signature = signDigest(digest, randomBytes(32));
    if (index % 5 === 1) return { digest: hex(32), signature };
    if (index % 5 === 2) return { digest, signature: `0x${"ff".repeat(64)}1b` };
    if (index % 5 === 3) return { digest, signature: `${signature.slice(0, -2)}1d` };
    return { digest, signature };
  });
}

const here = (items: readonly SignedDigest[]) =>
  items.map(({ digest, signature }) => recoverAddress(digest, signature));

test("recover what recoverAddress does, in order, whatever else is under way", async () => {
  const groups = [0, 1, 2, 50, 64, 7, 300].map(someSignatures);
  const recovered = await Promise.all(groups.map((items) => threads.recover(items)));
  expect(recovered).toEqual(groups.map(here));
  const key = randomBytes(32);
  const digest = hex(32);
  expect(await threads.recover([{ digest, signature: signDigest(digest, key) }])).toEqual([
    addressOfPrivateKey(key),
  ]);
});

test("answer also when they end in the middle, and after that", async () => {
  const ending = startSignatureThreads(1);
  const items = someSignatures(500);
  const underWay = ending.recover(items);
  const closed = ending.close();
  expect(await underWay).toEqual(here(items));
  await closed;
  expect(await ending.recover(items)).toEqual(here(items));
});

test("end by themselves, also while they still load, and take nothing with them", async () => {
  for (let round = 0; round < 4; round += 1) await startSignatureThreads(2).close();
}, 120_000);
