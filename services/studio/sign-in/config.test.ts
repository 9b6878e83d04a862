import { describe, expect, it } from "vitest";
import { readSignIn } from "./config.ts";

const key = JSON.stringify({ kty: "OKP", crv: "Ed25519", x: "x", d: "d" });
const given = {
  SIGN_IN_ORIGIN: "https://pay.example.com",
  SIGN_IN_KEY: key,
  DATABASE_URL: "postgres://sovr_studio@localhost/sovr",
};
const provider = { OIDC_ISSUER: "https://id.example.com", OIDC_CLIENT_ID: "studio" };

describe("readSignIn", () => {
  it("is nothing where no origin is said", () => {
    expect(readSignIn({ ...given, SIGN_IN_ORIGIN: undefined })).toBeUndefined();
  });

  it("has sessions of half a day, that end after half an hour of nothing", () => {
    expect(readSignIn(given)).toMatchObject({
      isSecure: true,
      idleSeconds: 1_800,
      sessionSeconds: 43_200,
      provider: undefined,
    });
  });

  it.each([
    "http://pay.example.com",
    "https://pay.example.com/",
    "pay.example.com",
    "ftp://a",
    "http://127.evil.example.com",
  ])("refuses the origin %s", (origin) => {
    expect(() => readSignIn({ ...given, SIGN_IN_ORIGIN: origin })).toThrow(/SIGN_IN_ORIGIN/);
  });

  it.each(["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"])(
    "takes %s, which leaves the machine by nothing",
    (origin) => {
      expect(readSignIn({ ...given, SIGN_IN_ORIGIN: origin })?.isSecure).toBe(false);
    },
  );

  it("takes this mesh's own names for roles, or others that are said", () => {
    const roles = (more: object) =>
      Object.fromEntries(readSignIn({ ...given, ...provider, ...more })?.provider?.roleNames ?? []);
    expect(roles({})).toMatchObject({ viewer: "viewer", operator: "operator" });
    expect(roles({ OIDC_ROLES: "treasury=treasurer, on-call=operator" })).toEqual({
      treasury: "treasurer",
      "on-call": "operator",
    });
  });

  it.each(["a=shopper", "a=service", "a", "=viewer", "a=viewer=b", "a=merchant", "a=toString"])(
    "refuses roles that are no person's: %s",
    (roles) => {
      expect(() => readSignIn({ ...given, ...provider, OIDC_ROLES: roles })).toThrow(/OIDC_ROLES/);
    },
  );

  it("refuses a provider in the clear, and shows no key", () => {
    expect(() =>
      readSignIn({ ...given, ...provider, OIDC_ISSUER: "http://id.example.com" }),
    ).toThrow(/OIDC_ISSUER/);
    expect(() => readSignIn({ ...given, SIGN_IN_KEY: '{"d":"secret"' })).toThrow(
      /^SIGN_IN_KEY(?!.*secret)/,
    );
  });
});
