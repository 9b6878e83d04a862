// Goal: a start goes on with its own ledger and with nothing else. Method: the decision alone, over what was found.
import { describe, expect, it } from "vitest";
import { judgeStart, type StartFindings } from "./ledger-identity.ts";

const nothing: StartFindings = {
  identity: undefined,
  signs: {
    clusterId: 7n,
    birthTimestamp: undefined,
    newestTransfer: 0n,
    newest: 0n,
    holdsMark: true,
  },
  hasEvidence: false,
  newest: { looked: 0, whole: 0 },
  acknowledged: { looked: 0, missing: [] },
  unattested: { count: 0, more: false, first: [] },
};
const chart = { ...nothing.signs, birthTimestamp: 100n, newest: 120n };
const used = { ...chart, newestTransfer: 500n, newest: 500n };
const identity = {
  clusterId: 7n,
  birthAccountId: 1_000_001n,
  birthTimestamp: 100n,
  highWaterMark: 400n,
};
const kept: StartFindings = { ...nothing, identity, signs: used, hasEvidence: true };

describe("goes on", () => {
  it.each<[string, string, StartFindings]>([
    ["a first start", "FIRST_START", nothing],
    ["a first start that was killed after the chart", "FIRST_START", { ...nothing, signs: chart }],
    ["the ledger that was always there", "FITS", kept],
    [
      "a mark that is the newest row",
      "FITS",
      { ...kept, identity: { ...identity, highWaterMark: 500n } },
    ],
    [
      "an empty ledger that was adopted",
      "FITS",
      {
        ...kept,
        signs: nothing.signs,
        identity: { ...identity, birthTimestamp: undefined, highWaterMark: 0n },
      },
    ],
    [
      "the last release's records",
      "RECOGNISED",
      { ...nothing, signs: used, hasEvidence: true, newest: { looked: 100, whole: 1 } },
    ],
    [
      "the last release's records, of which others know what cleared",
      "RECOGNISED",
      {
        ...nothing,
        signs: used,
        hasEvidence: true,
        newest: { looked: 100, whole: 60 },
        acknowledged: { looked: 100, missing: [] },
      },
    ],
    ["records of failures alone", "RECOGNISED", { ...nothing, signs: chart, hasEvidence: true }],
  ])("with %s", (_, kind, found) => {
    expect(judgeStart(found)).toEqual({ kind });
  });
});

describe("refuses", () => {
  it.each<[string, string, StartFindings]>([
    [
      "another cluster",
      "cluster 7, and this is cluster 8",
      { ...kept, signs: { ...used, clusterId: 8n } },
    ],
    ["an empty ledger", "this ledger does not have it", { ...kept, signs: nothing.signs }],
    [
      "another ledger",
      "(101): it is another one",
      { ...kept, signs: { ...used, birthTimestamp: 101n } },
    ],
    ["an old copy", "(399), and one of", { ...kept, signs: { ...used, newest: 399n } }],
    [
      "an old copy that has gone on",
      "(400) was seen and is not in this ledger",
      { ...kept, signs: { ...used, holdsMark: false } },
    ],
    [
      "a database that was rolled back",
      "at least 5 later transfers have no evidence",
      { ...kept, unattested: { count: 5, more: true, first: [] } },
    ],
    ["an empty database", "the records hold no evidence", { ...nothing, signs: used }],
    ["a lost ledger without an identity", "the ledger is empty", { ...nothing, hasEvidence: true }],
    [
      "an old copy that holds all but the last",
      "of the 100 newest intents that have cleared by the records 2 are not in the ledger, the newest of them id-9",
      {
        ...nothing,
        signs: used,
        hasEvidence: true,
        newest: { looked: 100, whole: 98 },
        acknowledged: { looked: 100, missing: ["id-9", "id-8"] },
      },
    ],
    [
      "evidence of which the ledger holds nothing",
      "of the 3 newest intents",
      { ...nothing, signs: used, hasEvidence: true, newest: { looked: 3, whole: 0 } },
    ],
  ])("%s, and says what to do", (_, text, found) => {
    const verdict = judgeStart(found);
    expect(verdict).toEqual({ kind: "REFUSED", why: expect.stringContaining(text) });
    expect(verdict).toEqual({
      kind: "REFUSED",
      why: expect.stringContaining("./mesh ledger adopt"),
    });
  });
});
