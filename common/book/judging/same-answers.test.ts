// Goal: the engine answers for books/sovr as the compiled rules do, to the letter. Method: random intents, likely and not.
import fc from "fast-check";
import { expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import type { Intent } from "#common/intent/intent.ts";
import * as compiled from "#common/intent/posting-rules.ts";
import { chartAccounts } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { alice, bob, intentOf } from "../../../test/support/intents/intents.ts";
import { defaultBook } from "../default-book.ts";
import { openJudge } from "./judge.ts";

const judge = openJudge(defaultBook);
const own = walletAccountId(alice.address, 1);
const other = walletAccountId(bob.address, 1);

const likely = fc
  .constantFrom<readonly [bigint, bigint, number]>(
    [3_000_001n, own, 1],
    [1_000_002n, own, 1],
    [own, 4_000_001n, 2],
    [own, 4_000_002n, 2],
    [other, 4_000_001n, 2],
    [4_000_001n, own, 5],
    [7_000_002n, own, 5],
    [own, 3_000_001n, 5],
    [own, other, 6],
    [1_000_001n, 7_000_001n, 9],
  )
  .chain(([debitAccountId, creditAccountId, code]) =>
    fc
      .bigInt(1n, 4n)
      .map((amount) => ({ debitAccountId, creditAccountId, code, ledger: 1, amount })),
  );
const account = fc.constantFrom(...chartAccounts.map(({ id }) => id), own, other, 5n, 1n << 126n);
const unlikely = fc.record({
  debitAccountId: account,
  creditAccountId: account,
  amount: fc.bigInt(1n, 4n),
  ledger: fc.constantFrom(1, 2, 3),
  code: fc.integer({ min: 0, max: 14 }),
});
const intents = fc
  .record({
    phase: fc.constantFrom<Intent["phase"]>("IMMEDIATE", "IMMEDIATE", "PENDING", "POST_PENDING"),
    wallet: fc.constantFrom(alice.address, alice.address, bob.address),
    reference: fc.constantFrom("", "x"),
    postings: fc.array(fc.oneof(likely, likely, likely, unlikely), { minLength: 1, maxLength: 5 }),
  })
  .map((fields) => intentOf(fields));
const maybe = fc.option(intents, { nil: undefined });

function answer(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const { kind, message, metadata, violations } = error;
    return { kind, message, metadata, violations };
  }
}

it("answers as the compiled rules do, to the letter", () => {
  fc.assert(
    fc.property(intents, maybe, maybe, (intent, corrected, pending) => {
      const related = { corrected, pending };
      expect(answer(() => judge.checkPostings(intent, related))).toEqual(
        answer(() => compiled.checkPostings(intent, related)),
      );
      expect(answer(() => judge.authorityOf(intent))).toEqual(
        answer(() => compiled.authorityOf(intent)),
      );
    }),
    { numRuns: 5_000 },
  );
});
