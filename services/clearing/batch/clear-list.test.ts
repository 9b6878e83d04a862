import { expect, test } from "vitest";
import { attest, intentOf, posting } from "../../../test/support/intents/intents.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Clearing, ClearRequest } from "../core/clearing.ts";
import { limitPostingsUnderWay } from "../core/postings-under-way.ts";
import { intentFailed } from "../core/refusals.ts";
import { createClearList } from "./clear-list.ts";

const operator = { wallet: undefined };
const soon = () => ({ deadlineMs: Date.now() + 60_000 });

/** A house that clears each intent when a test says so, and counts who was let in between. */
function harness() {
  const underWay: {
    readonly request: ClearRequest;
    readonly attempt: Attempt;
    end(error?: Error): void;
  }[] = [];
  const reserve = limitPostingsUnderWay();
  let turns = 0;
  const clearList = createClearList(
    {
      reserve,
      clearIn: (attempt, request) =>
        new Promise((resolve, reject) => {
          const { intentId, phase } = request.intent;
          const { digest } = request.attestation;
          const cleared = { intentId, digest, phase, state: "CLEARED" } as Clearing;
          const end = (error?: Error) => (error === undefined ? resolve(cleared) : reject(error));
          underWay.push({ request, attempt, end });
        }),
    },
    async () => {
      turns += 1;
    },
  );
  return { underWay, reserve, clearList, turns: () => turns };
}

const died = { reason: "INSUFFICIENT_FUNDS", metadata: {}, timeMs: 0, isNew: false } as const;

function requestOf(amount: bigint, postings = 1): ClearRequest {
  const intent = intentOf({
    postings: Array.from({ length: postings }, () => posting({ amount })),
  });
  return { intent, attestation: attest(intent), validateOnly: false };
}

test("answers in the requests' order, whichever ends first, and a refusal as what it is", async () => {
  const { underWay, clearList } = harness();
  const requests = [requestOf(1n), requestOf(2n), requestOf(3n)];
  const answer = clearList(requests, operator, soon());
  const refusal = intentFailed("an intent", died);
  underWay[2]?.end();
  underWay[1]?.end(refusal);
  underWay[0]?.end();
  const results = await answer;
  expect(results[1]).toBe(refusal);
  expect(results).toMatchObject([
    { digest: requests[0]?.attestation.digest },
    { kind: "INTENT_FAILED" },
    { digest: requests[2]?.attestation.digest },
  ]);
});

test("sends what stands in it twice on its way once, and judges alone what only claims to be the same", async () => {
  const { underWay, clearList } = harness();
  const request = requestOf(1n);
  const again = structuredClone(request);
  const only = { ...request, validateOnly: true };
  const forged = { ...request, intent: { ...request.intent, reference: "other" } };
  const answer = clearList([request, again, only, forged], operator, soon());
  expect(underWay.map((each) => each.request)).toEqual([request, only, forged]);
  for (const { end } of underWay) end();
  const results = await answer;
  expect(results[1]).toBe(results[0]);
  expect(results).toHaveLength(4);
});

test("counts its postings at once and gives them back one by one", async () => {
  const { underWay, reserve, clearList } = harness();
  const requests = Array.from({ length: 1_023 }, (_, index) => requestOf(BigInt(index + 1), 64));
  const twice = requests[0];
  if (twice === undefined) throw new Error("no request");
  const answer = clearList([...requests, twice], operator, soon());
  // The twin counts with the first, so there is room for as much as it has.
  expect(() => reserve(1)).toThrow("too many postings");
  while (underWay.length < requests.length) await Promise.resolve();
  expect(() => reserve(65)).toThrow("too many postings");
  reserve(64)(64);
  underWay[7]?.end();
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => reserve(129)).toThrow("too many postings");
  reserve(128)(128);
  for (const { end } of underWay) end();
  await answer;
});

test("refuses the whole list when too much is under way", async () => {
  const { underWay, reserve, clearList } = harness();
  reserve(65_536);
  await expect(clearList([requestOf(1n)], operator, soon())).rejects.toMatchObject({
    kind: "RATE_LIMITED",
  });
  expect(underWay).toEqual([]);
});

test("lets others have their turn after every sixteen", async () => {
  const { underWay, clearList, turns } = harness();
  const requests = Array.from({ length: 40 }, (_, index) => requestOf(BigInt(index + 1)));
  const answer = clearList(requests, operator, soon());
  while (underWay.length < 40) await Promise.resolve();
  expect(turns()).toBe(2);
  for (const { end } of underWay) end();
  expect(await answer).toHaveLength(40);
});

test("answers in time, whatever is under way, and gives that up", async () => {
  const { underWay, reserve, clearList } = harness();
  const requests = Array.from({ length: 4 }, (_, index) => requestOf(BigInt(index + 1), 64));
  const left = new AbortController();
  const answer = clearList(requests, operator, { ...soon(), signal: left.signal });
  const refusal = intentFailed("an intent", died);
  for (const [index, { attempt }] of underWay.entries()) {
    attempt.sent = index === 1;
    attempt.refusal = index === 2 ? refusal : undefined;
  }
  underWay[3]?.end();
  await new Promise((resolve) => setImmediate(resolve));
  left.abort();
  expect(await answer).toMatchObject([
    { kind: "NOT_SENT" },
    { kind: "OUTCOME_UNKNOWN" },
    { kind: "INTENT_FAILED" },
    { state: "CLEARED" },
  ]);
  expect(underWay.map(({ attempt }) => attempt.abandoned)).toEqual([true, true, true, true]);
  // Three of them count until they end.
  expect(() => reserve(65_536 - 3 * 64 + 1)).toThrow("too many postings");
  for (const { end } of underWay) end();
  await new Promise((resolve) => setImmediate(resolve));
  const [one, rest] = [reserve(1), reserve(65_535)];
  one(1);
  rest(65_535);
});

test("sends nothing on its way when the time is over, and counts nothing then", async () => {
  const { underWay, reserve, clearList } = harness();
  const late = { deadlineMs: Date.now() - 1 };
  const results = await clearList([requestOf(1n), requestOf(2n)], operator, late);
  expect(results).toMatchObject([{ kind: "NOT_SENT" }, { kind: "NOT_SENT" }]);
  expect(underWay).toEqual([]);
  const [one, rest] = [reserve(1), reserve(65_535)];
  one(1);
  rest(65_535);
});
