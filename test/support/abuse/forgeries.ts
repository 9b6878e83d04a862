import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { allScopes } from "#common/rpc/access/access.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import type { TestMesh } from "../mesh/mesh.ts";

/** A credential that must open nothing. */
export interface Forgery {
  readonly name: string;
  /** The header `authorization`. */
  readonly authorization: string;
}

type Json = Readonly<Record<string, unknown>>;

const encode = (value: Json | string | Buffer) =>
  Buffer.from(
    typeof value === "string" || Buffer.isBuffer(value) ? value : JSON.stringify(value),
  ).toString("base64url");

/** A token of a header and claims; `seal` makes its signature from what is signed. */
function token(header: Json, claims: Json, seal: (signed: string) => Buffer): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${encode(seal(signed))}`;
}

/** What the forger has at hand: the true issuer's key for what only the issuer could do wrong, and keys of his own. */
interface Forge {
  readonly header: Json;
  readonly claims: Json;
  readonly publicKey: JWK;
  readonly byIssuer: (signed: string) => Buffer;
  readonly byForger: (signed: string) => Buffer;
  readonly forgersKey: JWK;
  readonly forgersUrl: string;
}

/** `forgersUrl`: where a server of the forger's has his keys; nobody may ask it. */
export function forgeries(mesh: TestMesh, forgersUrl: string): readonly Forgery[] {
  const forge = openForge(mesh, forgersUrl);
  const tokens = {
    ...timesAndNames(forge),
    ...keys(forge),
    ...algorithms(forge),
    ...shapes(forge),
  };
  return Object.entries(tokens).map(([name, value]) => ({
    name,
    authorization: `Bearer ${value}`,
  }));
}

function openForge(mesh: TestMesh, forgersUrl: string): Forge {
  const { settings } = mesh;
  const jwk = JSON.parse(readFileSync(keyFiles(settings).issuer, "utf8")) as JWK;
  const { d: _, ...publicKey } = jwk;
  const own = generateKeyPairSync("ed25519");
  const signWith = (key: KeyObject | { key: JWK; format: "jwk" }) => (signed: string) =>
    sign(null, Buffer.from(signed), key as KeyObject);
  const nowSeconds = Math.floor(Date.now() / 1_000);
  return {
    header: { alg: "EdDSA", typ: "JWT", kid: jwk.kid },
    claims: {
      iss: settings.jwt.issuer,
      aud: settings.jwt.audience,
      sub: "intruder",
      scope: allScopes.join(" "),
      iat: nowSeconds,
      exp: nowSeconds + 3_000,
    },
    publicKey,
    byIssuer: signWith({ key: jwk, format: "jwk" }),
    byForger: signWith(own.privateKey),
    forgersKey: own.publicKey.export({ format: "jwk" }) as JWK,
    forgersUrl,
  };
}

/** Well signed, and of another time, issuer, audience or holder. */
function timesAndNames({ header, claims, byIssuer }: Forge): Record<string, string> {
  const nowSeconds = Number(claims["iat"]);
  const say = (more: Json) => token(header, { ...claims, ...more }, byIssuer);
  const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  return {
    expired: say({ iat: nowSeconds - 7_200, exp: nowSeconds - 3_600 }),
    "expired before 1970": say({ iat: -20, exp: -10 }),
    "not yet valid": say({ nbf: nowSeconds + 3_000 }),
    "that lives for a day": say({ exp: nowSeconds + 86_400 }),
    "that lives for ever": say({ exp: 9e15 }),
    "that does not say how long it lives": say({ exp: undefined }),
    "whose end is a text": say({ exp: "never" }),
    "from the future": say({ iat: nowSeconds + 7_200, exp: nowSeconds + 10_800 }),
    "of nobody": say({ sub: undefined }),
    "of another issuer": say({ iss: "https://issuer.example" }),
    "of no issuer": say({ iss: undefined }),
    "for another audience": say({ aud: "another-mesh" }),
    "for no audience": say({ aud: undefined }),
    "whose scopes are a list": say({ scope: allScopes }),
    "with a thousand scopes": say({ scope: "x ".repeat(1_000) }),
    "bound to a wallet and a merchant": say({ wallet, merchant: "market-1" }),
    "bound to a wallet in another case": say({ wallet: wallet.toLowerCase() }),
    "bound to no wallet": say({ wallet: "" }),
    "bound to null": say({ wallet: null }),
    "bound to a list of wallets": say({ wallet: [wallet] }),
    "bound to a merchant with a line break": say({ merchant: "market-1\n" }),
  };
}

/** Signed by a key that nobody gave out. */
function keys({ header, claims, byForger, forgersKey, forgersUrl }: Forge): Record<string, string> {
  const say = (more: Json) => token({ ...header, ...more }, claims, byForger);
  return {
    "signed by a foreign key": say({}),
    "of a foreign key's own name": say({ kid: "forger" }),
    "of a foreign key without a name": say({ kid: undefined }),
    "that brings its key": say({ kid: "forger", jwk: forgersKey }),
    "that brings its key under the issuer's name": say({
      jwk: { ...forgersKey, kid: header["kid"] },
    }),
    "that says where its keys are": say({ kid: "forger", jku: forgersUrl }),
    "that says where its certificate is": say({ kid: "forger", x5u: forgersUrl }),
    "that brings a certificate": say({ kid: "forger", x5c: [encode("certificate")] }),
    "whose key is a path": say({ kid: "../../../../dev/null" }),
    "whose key is a query": say({ kid: "' union select 'key" }),
    "whose key is a prototype": say({ kid: "__proto__" }),
    "whose key is a number": say({ kid: 1 }),
  };
}

/** Of another algorithm than the key's. */
function algorithms({ header, claims, publicKey, byIssuer }: Forge): Record<string, string> {
  const nothing = () => Buffer.alloc(0);
  const hmac = (secret: string | Buffer) => (signed: string) =>
    createHmac("sha256", secret).update(signed).digest();
  const pem = createPublicKey({ key: publicKey as never, format: "jwk" });
  const say = (alg: string, seal: (signed: string) => Buffer) =>
    token({ ...header, alg }, claims, seal);
  return {
    "of no algorithm": say("none", nothing),
    "of no algorithm, in capitals": say("NONE", nothing),
    "of no algorithm, and signed": say("none", byIssuer),
    "of an empty algorithm": say("", nothing),
    "HS256 with the public key as PEM": say(
      "HS256",
      hmac(pem.export({ type: "spki", format: "pem" })),
    ),
    "HS256 with the public key's bytes": say(
      "HS256",
      hmac(Buffer.from(publicKey.x ?? "", "base64url")),
    ),
    "HS256 with the public key as JWK": say("HS256", hmac(JSON.stringify(publicKey))),
    "HS256 with nothing": say("HS256", hmac("")),
    "ES256 with the key of EdDSA": say("ES256", byIssuer),
    "ES256 whose signature is zero": say("ES256", () => Buffer.alloc(64)),
    "EdDSA whose signature is zero": say("EdDSA", () => Buffer.alloc(64)),
    "RS256 with nothing": say("RS256", nothing),
    "with a critical header that nobody knows": token(
      { ...header, crit: ["sovr"], sovr: 1 },
      claims,
      byIssuer,
    ),
    "whose payload is not encoded": token(
      { ...header, b64: false, crit: ["b64"] },
      claims,
      byIssuer,
    ),
  };
}

/** A good token, changed on its way. */
function shapes({ header, claims, byIssuer }: Forge): Record<string, string> {
  const good = token(header, { ...claims, scope: "ledger.read" }, byIssuer);
  const [head = "", body = "", seal = ""] = good.split(".");
  const more = encode({ ...claims, scope: allScopes.join(" ") });
  const flipped = seal.startsWith("A") ? `B${seal.slice(1)}` : `A${seal.slice(1)}`;
  return {
    "whose claims were changed": `${head}.${more}.${seal}`,
    "whose signature was changed": `${head}.${body}.${flipped}`,
    "whose signature was cut": `${head}.${body}.${seal.slice(0, 40)}`,
    "without a signature": `${head}.${body}.`,
    "of two parts": `${head}.${body}`,
    "of four parts": `${good}.${seal}`,
    "of five parts, as if encrypted": `${head}..${body}.${seal}.${seal}`,
    "with padding": `${head}.${body}.${seal}==`,
    "with a second spelling of its last letter": `${head}.${body}.${respelled(seal)}`,
    twice: `${good}, Bearer ${good}`,
    "with a blank in it": `${head}. ${body}.${seal}`,
    "whose header is no JSON": `${encode("{")}.${body}.${seal}`,
    "whose claims are a list": token(header, [] as never, byIssuer),
    "that is no token": "secret",
    "as long as headers may be": `${head}.${body}.${"A".repeat(20_000)}`,
  };
}

/** The last letter of 64 bytes has four bits that say nothing: another letter with the same two. */
function respelled(seal: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = letters.indexOf(seal.at(-1) ?? "");
  return seal.slice(0, -1) + letters[last ^ 1];
}
