import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isUuidV7 } from "#common/uuid.ts";
import { newUuidV7, transferId, walletAccountId } from "./ids.ts";

const vectors = (name: string): Record<string, string & number>[] =>
  JSON.parse(
    readFileSync(join(import.meta.dirname, "../../../../../test/vectors", `${name}.json`), "utf8"),
  );

describe("ids in the browser", () => {
  it.each(vectors("transfer-ids"))("derives the transfer of $intentId, leg $leg", (vector) => {
    expect(String(transferId(vector["intentId"] ?? "", vector["leg"] ?? -1))).toBe(
      vector["transferId"],
    );
  });

  it.each(vectors("wallet-accounts"))("derives the account of $wallet in $ledger", (vector) => {
    expect(String(walletAccountId(vector["wallet"] ?? "", vector["ledger"] ?? -1))).toBe(
      vector["accountId"],
    );
  });

  it("makes UUIDv7s that carry the time and differ", () => {
    const nowMs = 1_795_521_600_123;
    const [one, other] = [newUuidV7(nowMs), newUuidV7(nowMs)];
    expect(isUuidV7(one)).toBe(true);
    expect(Number.parseInt(one.replaceAll("-", "").slice(0, 12), 16)).toBe(nowMs);
    expect(one).not.toBe(other);
  });
});
