import { TransferFlags } from "tigerbeetle-node";
import { describe, expect, it } from "vitest";
import type { Phase } from "#common/intent/intent.ts";
import { differingFields, isDerivedRow, type TransferRow } from "#common/ledger/transfer-rows.ts";
import { formatTransfer, parseTransfer } from "./transfer-codec.ts";

const row: TransferRow = {
  id: 1n,
  debitAccountId: 2n,
  creditAccountId: 3n,
  amount: 4n,
  pendingId: 5n,
  userData128: 6n,
  userData64: 7n,
  userData32: 8,
  timeout: 9,
  ledger: 10,
  code: 11,
  phase: "IMMEDIATE",
  linked: false,
};
const phases: readonly Phase[] = ["IMMEDIATE", "PENDING", "POST_PENDING", "VOID_PENDING"];

describe("the transfer codec", () => {
  for (const phase of phases) {
    for (const linked of [false, true]) {
      it(`reads back what it writes: ${phase}${linked ? ", linked" : ""}`, () => {
        const written = { ...row, phase, linked };
        const read = parseTransfer({ ...formatTransfer(written), timestamp: 12n });
        expect(read).toEqual({ ...written, foreignFlags: 0, timestamp: 12n });
        expect(isDerivedRow(read, written)).toBe(true);
      });
    }
  }

  it("keeps flags that no row of ours has, and lets no such row pass", () => {
    const flags = TransferFlags.linked | TransferFlags.closing_debit;
    const read = parseTransfer({ ...formatTransfer(row), flags, timestamp: 12n });
    expect(read.foreignFlags).toBe(TransferFlags.closing_debit);
    expect(isDerivedRow(read, { ...row, linked: true })).toBe(false);
  });

  it("names every field in which a transfer differs", () => {
    const fields = Object.keys(row) as (keyof TransferRow)[];
    const other = { id: 90n, linked: true, phase: "PENDING" as const };
    for (const field of fields) {
      const changed = { ...row, [field]: { ...row, ...other }[field] };
      if (changed[field] === row[field]) Object.assign(changed, { [field]: 99n });
      const read = { ...row, ...changed, foreignFlags: 0, timestamp: 1n };
      expect(differingFields(read, row)).toEqual([field]);
      expect(isDerivedRow(read, row)).toBe(false);
    }
  });
});
