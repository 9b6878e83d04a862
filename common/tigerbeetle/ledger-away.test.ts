// Goal: an outage is told from a fault of ours, whichever engine reports it.

import { createClient, ErrorCodes, RequestError } from "tigerbeetle-node";
import { describe, expect, test } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import { EmbeddedLedgerError, type EmbeddedLedgerErrorCode, typedError } from "#engine/errors.ts";
import { isLedgerAway, isLedgerFull } from "./ledger-away.ts";

const embedded = (code: EmbeddedLedgerErrorCode) => new EmbeddedLedgerError(code, "embedded");
const sqlite = (errcode: number) =>
  typedError(Object.assign(new Error("sqlite"), { errcode }), "ledger.db");

describe("the ledger is away", () => {
  test.each<[string, unknown]>([
    ["closed", new RequestError(ErrorCodes.ERR_CLIENT_CLOSED)],
    ["evicted", new RequestError(ErrorCodes.ERR_CLIENT_EVICTED)],
    ["upgraded before us", new RequestError(ErrorCodes.ERR_CLIENT_RELEASE_TOO_LOW)],
    ["upgraded after us", new RequestError(ErrorCodes.ERR_CLIENT_RELEASE_TOO_HIGH)],
    ["busy", embedded("ERR_EMBEDDED_BUSY")],
    ["out of disk", embedded("ERR_EMBEDDED_DISK_FULL")],
    ["unreadable", embedded("ERR_EMBEDDED_IO")],
    ["stopped", embedded("ERR_EMBEDDED_STOPPED")],
    ["busy, as SQLite says it", sqlite(5)],
    ["out of disk, as SQLite says it", sqlite(13)],
  ])("%s", (_, error) => {
    expect(isLedgerAway(error)).toBe(true);
  });
});

describe("the fault is ours", () => {
  test.each<[string, unknown]>([
    ["too much data", new RequestError(ErrorCodes.ERR_TOO_MUCH_DATA)],
    ["an imported event", embedded("ERR_EMBEDDED_IMPORTED_REFUSED")],
    ["another cluster's file", embedded("ERR_EMBEDDED_CLUSTER_MISMATCH")],
    ["a newer file", embedded("ERR_EMBEDDED_SCHEMA_TOO_NEW")],
    ["a damaged file", embedded("ERR_EMBEDDED_CORRUPT")],
    ["a file that cannot be written", embedded("ERR_EMBEDDED_READ_ONLY")],
    ["a file that cannot be opened", embedded("ERR_EMBEDDED_CANNOT_OPEN")],
    ["a malformed request", new RangeError("timestamp_min is no u64")],
    ["a code of somebody else", Object.assign(new Error("no"), { code: "ERR_CLIENT_UNKNOWN" })],
    ["a name of Object's", Object.assign(new Error("no"), { code: "constructor" })],
    ["a refusal", new DomainError("ACCOUNT_NOT_FOUND", "no", { metadata: { accountId: "1" } })],
    ["no error", "ERR_CLIENT_CLOSED"],
  ])("%s", (_, error) => {
    expect(isLedgerAway(error)).toBe(false);
  });
});

test("only a full disk is known to have taken nothing of a request", () => {
  const errors = [embedded("ERR_EMBEDDED_DISK_FULL"), sqlite(13), embedded("ERR_EMBEDDED_IO")];
  expect([...errors, new Error("no"), "text"].map(isLedgerFull)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

describe("tigerbeetle-node itself", () => {
  test("tells a closed client from a malformed request", async () => {
    const client = createClient({ cluster_id: 0n, replica_addresses: ["127.0.0.1:1"] });
    // Refused before it is sent, so that no cluster is needed.
    const malformed = await client.lookupAccounts([-1n]).catch((error: unknown) => error);
    client.destroy();
    const closed = await client.lookupAccounts([1n]).catch((error: unknown) => error);
    expect(malformed).toBeInstanceOf(Error);
    expect([malformed, closed].map(isLedgerAway)).toEqual([false, true]);
  });
});
