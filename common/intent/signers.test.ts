import { describe, expect, test } from "vitest";
import { alice, bob, testKey } from "../../test/support/intents/intents.ts";
import { parseSigners, type Signer, signerAt, signerState, trustSigner } from "./signers.ts";

const carol = testKey(3);
const activateTime = "2026-01-01T00:00:00Z";
const start = BigInt(Date.parse(activateTime) / 1000);
const entry = { address: alice.address, activateTime };

function signer(address: string, from: bigint, fields: Partial<Signer> = {}): Signer {
  return { address, activateTime: from, retireTime: undefined, revokeTime: undefined, ...fields };
}

describe("parseSigners", () => {
  test("reads entries in any order, addresses in any case, and sorts them by activation", () => {
    const json = JSON.stringify([
      {
        address: bob.address.toLowerCase(),
        activateTime: "2026-03-01T01:00:00.999+01:00",
        retireTime: "2026-04-01T00:00:00Z",
        revokeTime: "2026-05-01T00:00:00Z",
      },
      entry,
    ]);
    expect(parseSigners(json)).toEqual([
      signer(alice.address, start),
      signer(bob.address, BigInt(Date.parse("2026-03-01T00:00:00Z") / 1000), {
        retireTime: BigInt(Date.parse("2026-04-01T00:00:00Z") / 1000),
        revokeTime: BigInt(Date.parse("2026-05-01T00:00:00Z") / 1000),
      }),
    ]);
  });

  test.each<[string, unknown, RegExp]>([
    ["no array", {}, /JSON array/],
    ["no entries", [], /JSON array/],
    ["no object", [7], /signers\[0\]: must be an object/],
    ["null", [null], /signers\[0\]: must be an object/],
    ["no address", [{ activateTime }], /signers\[0\]\.address/],
    ["a short address", [{ address: "0x12", activateTime }], /signers\[0\]\.address/],
    ["no activation", [{ address: alice.address }], /signers\[0\]\.activateTime/],
    [
      "a year for a time",
      [{ ...entry, activateTime: "2026" }],
      /activateTime: must be an RFC 3339/,
    ],
    ["a month for a time", [{ ...entry, activateTime: "May" }], /activateTime/],
    ["a time without zone", [{ ...entry, activateTime: "2026-01-01T00:00:00" }], /activateTime/],
    ["month 13", [{ ...entry, activateTime: "2026-13-01T00:00:00Z" }], /activateTime/],
    [
      "a number for a time",
      [entry, { ...entry, address: bob.address, retireTime: 1 }],
      /signers\[1\]\.retireTime/,
    ],
    ["null for a time", [{ ...entry, revokeTime: null }], /signers\[0\]\.revokeTime/],
    ["an end at its start", [{ ...entry, retireTime: activateTime }], /retireTime: must be after/],
    ["an address twice", [entry, { ...entry, address: alice.address.toLowerCase() }], /twice/],
  ])("refuses %s and says where", (_what, entries, message) => {
    expect(() => parseSigners(JSON.stringify(entries))).toThrow(message);
  });

  test("refuses what is no JSON", () => {
    expect(() => parseSigners("[")).toThrow(SyntaxError);
  });
});

test.each([
  ["before it is active", 99n, "PENDING"],
  ["when it becomes active", 100n, "ACTIVE"],
  ["until it retires", 199n, "ACTIVE"],
  ["when it retires", 200n, "RETIRED"],
  ["until it is revoked", 299n, "RETIRED"],
  ["when it is revoked", 300n, "REVOKED"],
])("a signer's state %s", (_when, nowSeconds, state) => {
  const one = signer(alice.address, 100n, { retireTime: 200n, revokeTime: 300n });
  expect(signerState(one, nowSeconds)).toBe(state);
});

describe("signerAt", () => {
  const rotation = [
    signer(alice.address, 1_000n, { retireTime: 2_000n }),
    signer(bob.address, 2_000n),
  ];

  test.each([
    ["the first", 1_999n, alice.address],
    ["the next, from its activation on", 2_000n, bob.address],
    ["the first, a little before anybody was active", 700n, alice.address],
    ["nobody, long before", 699n, undefined],
  ])("%s", (_who, issueTime, address) => {
    expect(signerAt(rotation, issueTime, issueTime)?.address).toBe(address);
  });

  test("of two that are active, the one activated last", () => {
    const overlap = [
      signer(alice.address, 1_000n),
      signer(bob.address, 1_500n),
      signer(carol.address, 9_000n),
    ];
    expect(signerAt(overlap, 2_000n, 2_000n)?.address).toBe(bob.address);
    expect(signerAt(overlap, 1_499n, 2_000n)?.address).toBe(alice.address);
  });

  test("never a revoked one, however active its dates", () => {
    const revoked = [
      signer(alice.address, 1_000n),
      signer(bob.address, 1_500n, { revokeTime: 3_000n }),
    ];
    expect(signerAt(revoked, 2_000n, 2_999n)?.address).toBe(bob.address);
    expect(signerAt(revoked, 2_000n, 3_000n)?.address).toBe(alice.address);
    expect(signerAt(revoked.slice(1), 2_000n, 3_000n)).toBeUndefined();
  });

  test("in a gap between two, one that verification accepts", () => {
    const gap = [
      signer(alice.address, 1_000n, { retireTime: 2_000n }),
      signer(bob.address, 3_000n),
    ];
    for (const issueTime of [2_100n, 2_299n, 2_700n, 2_900n]) {
      const found = signerAt(gap, issueTime, issueTime);
      expect(found, `at ${issueTime}`).toBeDefined();
      expect(trustSigner(gap, found?.address ?? "", issueTime, issueTime)).toEqual({
        trusted: true,
      });
    }
    expect(signerAt(gap, 2_500n, 2_500n)).toBeUndefined();
  });
});

describe("trustSigner", () => {
  const signers = [
    signer(alice.address, 1_000n, { retireTime: 2_000n }),
    signer(bob.address, 1_000n, { revokeTime: 5_000n }),
  ];

  test.each([
    ["active", 1_500n, undefined],
    ["five minutes before it was active", 700n, undefined],
    ["longer before it was active", 699n, "NOT_ACTIVE_THEN"],
    ["until five minutes after it retired", 2_299n, undefined],
    ["later", 2_300n, "NOT_ACTIVE_THEN"],
  ])("%s", (_when, issueTime, why) => {
    expect(trustSigner(signers, alice.address, issueTime, 9_000n)).toEqual(
      why === undefined ? { trusted: true } : { trusted: false, why },
    );
  });

  test("revocation overrides every date, from its time on", () => {
    expect(trustSigner(signers, bob.address, 1_500n, 4_999n)).toEqual({ trusted: true });
    expect(trustSigner(signers, bob.address, 1_500n, 5_000n)).toEqual({
      trusted: false,
      why: "REVOKED",
    });
  });

  test("who is not in the list is unknown", () => {
    expect(trustSigner(signers, carol.address, 1_500n, 1_500n)).toEqual({
      trusted: false,
      why: "UNKNOWN",
    });
  });
});
