import fc from "fast-check";
import { expect, test } from "vitest";
import type { Phase } from "#common/intent/intent.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { packedCount, packTransfers, unpackTransfers } from "./packed-transfers.ts";

const u128 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u16 = fc.integer({ min: 0, max: 2 ** 16 - 1 });
const phase = fc.constantFrom<Phase>("IMMEDIATE", "PENDING", "POST_PENDING", "VOID_PENDING");

const transfer: fc.Arbitrary<CommittedTransfer> = fc.record({
  id: u128,
  debitAccountId: u128,
  creditAccountId: u128,
  amount: u128,
  pendingId: u128,
  userData128: u128,
  userData64: u64,
  userData32: u32,
  timeout: u32,
  ledger: u32,
  code: u16,
  phase,
  linked: fc.boolean(),
  timestamp: u64,
  foreignFlags: u16,
});

test("comes out as it went in", () => {
  fc.assert(
    fc.property(fc.array(transfer, { maxLength: 20 }), (transfers) => {
      const packed = packTransfers(transfers);
      expect(packedCount(packed)).toBe(transfers.length);
      expect(unpackTransfers(packed)).toEqual(transfers);
    }),
  );
});
