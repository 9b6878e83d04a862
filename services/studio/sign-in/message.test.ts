import { SiweMessage } from "siwe";
import { expect, it } from "vitest";
import { signInText } from "./message.ts";

const message = {
  origin: "https://pay.example.com",
  wallet: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  chainId: 137n,
  nonce: "0123456789abcdef0123456789abcdef",
  issuedAtMs: Date.UTC(2026, 11, 1, 12),
  expiresAtMs: Date.UTC(2026, 11, 1, 12, 5),
};

it("is what EIP-4361 says, as another implementation reads it", () => {
  expect(new SiweMessage(signInText(message))).toMatchObject({
    domain: "pay.example.com",
    address: message.wallet,
    uri: "https://pay.example.com/",
    version: "1",
    chainId: 137,
    nonce: message.nonce,
    issuedAt: "2026-12-01T12:00:00.000Z",
    expirationTime: "2026-12-01T12:05:00.000Z",
  });
});

it("names the port of a page that has one, as browsers do", () => {
  const local = signInText({ ...message, origin: "http://127.0.0.1:8080" });
  expect(new SiweMessage(local).domain).toBe("127.0.0.1:8080");
});
