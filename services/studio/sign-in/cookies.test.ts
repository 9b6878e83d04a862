import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { createCookies } from "./cookies.ts";

const id = "ab".repeat(32);
const carrying = (cookie?: string) => ({ headers: { cookie } }) as unknown as IncomingMessage;

describe("cookies", () => {
  it("keep a session where no script, no other site and no plain connection comes to it", () => {
    expect(createCookies(true).keepSession(id, 60)).toBe(
      `__Host-sovr-session=${id}; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure`,
    );
    expect(createCookies(false).keepSession("", 60)).toBe(
      "sovr-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
    );
  });

  it("let another site's page lead back to one path, and carry that one alone", () => {
    expect(createCookies(true).keepAttempt("x", 300)).toBe(
      "__Secure-sovr-attempt=x; Path=/sign-in/oidc/callback; Max-Age=300; HttpOnly; SameSite=Lax; Secure",
    );
  });

  it.each([
    ["none at all", undefined],
    ["another's", `other=${id}`],
    ["a name that ends the same", `x__Host-sovr-session=${id}`],
    [
      "two of them, of which one was planted",
      `__Host-sovr-session=${id}; __Host-sovr-session=${id}`,
    ],
    ["one without the prefix, as a plain connection can set it", `sovr-session=${id}`],
    ["too short", "__Host-sovr-session=ab"],
    ["upper case", `__Host-sovr-session=${id.toUpperCase()}`],
    ["quoted", `__Host-sovr-session="${id}"`],
  ])("give no session for %s", (_, cookie) => {
    expect(createCookies(true).session(carrying(cookie))).toBeUndefined();
  });

  it("give the session among others", () => {
    const cookie = `a=1; __Host-sovr-session=${id}; b=2`;
    expect(createCookies(true).session(carrying(cookie))).toBe(id);
  });
});
