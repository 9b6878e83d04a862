import { expect, test } from "vitest";
import { loginOf, scramVerifier } from "./logins.ts";

test("a password is said to PostgreSQL as RFC 7677 has it", () => {
  // The exchange of the RFC: user "user", password "pencil".
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  expect(scramVerifier("pencil", salt)).toBe(
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
});

test("a login is read from a URL, and what has none is refused without being told", () => {
  expect(loginOf("postgres://sovr_ledger:pass%20word@host:5432/sovr\n")).toEqual({
    role: "sovr_ledger",
    password: "pass word",
  });
  for (const url of [
    "postgres://host/sovr",
    "postgres://a:@host/sovr",
    "postgres://A%20b:x@h/s",
    "x",
  ]) {
    expect(() => loginOf(url)).toThrow(/^the URL names no login with a password/);
  }
});
