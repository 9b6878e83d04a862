// Expands test/vectors/bad-input.json; test/vectors/README.md says what its placeholders mean.
import { readFileSync } from "node:fs";
import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { DomainError } from "#common/domain-error.ts";
import { parseIntent } from "#common/intent/codec.ts";
import { type DigestIntent, type IntentDomain, intentDigester } from "#common/intent/digest.ts";
import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { formatCursor } from "#common/wire/cursor.ts";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";

/** The caller's credential: a good token with these scopes, or none, or one that is bad in a certain way. */
export type BadInputToken =
  | {
      readonly kind: "good";
      readonly scopes: readonly string[];
      /** EIP-55: the wallet that it is bound to. */
      readonly wallet: string | undefined;
    }
  | { readonly kind: BadTokenKind };

const badTokenKinds = ["none", "garbled", "expired", "wrong-audience", "unknown-key"] as const;
export type BadTokenKind = (typeof badTokenKinds)[number];

export interface BadInputExpectation {
  /** The gRPC code, such as "INVALID_ARGUMENT". */
  readonly code: string;
  /** The ErrorInfo's reason. */
  readonly reason: string;
  /** The ErrorInfo's metadata.field; a rule of a whole request has "". Undefined: not looked at. */
  readonly field?: string;
}

/** One request that must be refused, and how. */
export interface BadInputCase {
  readonly name: string;
  /** Such as "sovr.attestor.v1.AttestorService". */
  readonly service: string;
  /** Such as "Attest". */
  readonly method: string;
  readonly token: BadInputToken;
  readonly expect: BadInputExpectation;
  /** Makes the request as proto JSON, with ids and times of its own: call it once for each call that is made. */
  request(world: BadInputWorld): Promise<JsonObject>;
}

/** What the requests are made for. */
export interface BadInputWorld {
  /** The signing domain, as GetDomain tells it. */
  readonly domain: IntentDomain;
  /** u128: the TigerBeetle cluster. */
  readonly clusterId: bigint;
  /** Has an intent attested by the running Attestor. Takes an AttestRequest and gives an Attestation, as proto JSON. */
  attest(request: JsonObject): Promise<JsonObject>;
  /** Makes a checkout at the running mesh. Takes a CreateCheckoutRequest and gives a ClearingIntent, as proto JSON. */
  createCheckout(request: JsonObject): Promise<JsonObject>;
}

interface Row {
  readonly name: string;
  readonly method: string;
  readonly intent?: string;
  readonly change?: JsonObject;
  readonly checkout?: JsonObject;
  readonly request?: JsonObject;
  readonly changeRequest?: JsonObject;
  readonly token?: string | { readonly scopes?: string[]; readonly wallet?: string };
  readonly expect: BadInputExpectation;
}

interface BadInputFile {
  readonly scopes: readonly string[];
  readonly intents: Readonly<Record<string, JsonObject>>;
  readonly rows: readonly Row[];
}

/** Every case of test/vectors/bad-input.json. */
export function readBadInput(): BadInputCase[] {
  const file: BadInputFile = JSON.parse(
    readFileSync(new URL("../../vectors/bad-input.json", import.meta.url), "utf8"),
  );
  return file.rows.map((row) => {
    const [service = "", method = ""] = row.method.split("/");
    const template = row.intent === undefined ? undefined : file.intents[row.intent];
    if (row.intent !== undefined && template === undefined) {
      throw new Error(`${row.name}: there is no intent ${row.intent}`);
    }
    return {
      name: row.name,
      service,
      method,
      token: tokenOf(row, file.scopes),
      expect: row.expect,
      request: (world) => new Expansion(row, template, world).request(),
    };
  });
}

function keyOf(name: string): { readonly privateKey: Uint8Array; readonly address: string } {
  const privateKey = keccak_256(Buffer.from(`sovr/bad-input/${name}`));
  return { privateKey, address: addressOfPrivateKey(privateKey) };
}

const wallet = keyOf("wallet");
const otherWallet = keyOf("other-wallet");
const buyer = keyOf("buyer");
const stranger = keyOf("stranger");

function tokenOf(row: Row, allScopes: readonly string[]): BadInputToken {
  const { token } = row;
  if (typeof token === "string") {
    const kind = badTokenKinds.find((candidate) => candidate === token);
    if (kind === undefined) throw new Error(`${row.name}: there is no token ${token}`);
    return { kind };
  }
  const bound = {
    "{{wallet}}": wallet.address,
    "{{otherWallet}}": otherWallet.address,
    "{{buyer}}": buyer.address,
  };
  return {
    kind: "good",
    scopes: token?.scopes ?? allScopes,
    wallet: bound[token?.wallet as keyof typeof bound],
  };
}

/** One request on its way from a row. Values that a row names twice are the same both times. */
class Expansion {
  readonly #row: Row;
  readonly #template: JsonObject | undefined;
  readonly #world: BadInputWorld;
  readonly #digestIntent: DigestIntent;
  readonly #uuids = new Map<string, string>();
  readonly #nowMs = Math.floor(Date.now() / 1000) * 1000;
  #intent: JsonValue = null;
  #attestation: JsonObject = {};

  constructor(row: Row, template: JsonObject | undefined, world: BadInputWorld) {
    this.#row = row;
    this.#template = template;
    this.#world = world;
    this.#digestIntent = intentDigester(world.domain);
  }

  async request(): Promise<JsonObject> {
    const row = this.#row;
    let request: JsonObject = structuredClone(row.request ?? {});
    if (this.#template !== undefined) {
      request = structuredClone(row.request ?? defaultRequest(row.method));
      this.#intent = this.#fill(this.#template);
      if (JSON.stringify(request).includes("{{attestation}}")) await this.#attest();
      const changed = change(structuredClone(this.#template), row.change ?? {});
      this.#intent = this.#fill(changed);
    }
    if (row.checkout !== undefined) {
      request = structuredClone(row.request ?? row.checkout);
      this.#intent = await this.#world.createCheckout(this.#fill(row.checkout) as JsonObject);
    }
    const filled = this.#fill(request) as JsonObject;
    return this.#fill(change(filled, row.changeRequest ?? {})) as JsonObject;
  }

  /** The Attestor signs the intent as it is in the template: what is wrong with it comes after. */
  async #attest(): Promise<void> {
    const walletSignature = this.#walletSignature(undefined);
    this.#attestation = await this.#world.attest({ intent: this.#intent, walletSignature });
  }

  #fill(value: JsonValue): JsonValue {
    if (typeof value === "string") return this.#fillText(value);
    if (Array.isArray(value)) return value.map((item) => this.#fill(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, this.#fill(item)]),
    );
  }

  #fillText(text: string): JsonValue {
    const whole = /^\{\{([^{}]+)\}\}$/.exec(text)?.[1];
    if (whole !== undefined) return this.#value(whole);
    return text.replaceAll(/\{\{([^{}]+)\}\}/g, (_, name: string) => String(this.#value(name)));
  }

  #value(placeholder: string): JsonValue {
    const [name = "", ...details] = placeholder.split(":");
    const time = /^now([+-][0-9.]+)?$/.exec(name);
    if (time !== null) {
      return new Date(this.#nowMs + Number(time[1] ?? 0) * 1000).toISOString();
    }
    const make = this.#makers[name];
    if (make === undefined) throw new Error(`${this.#row.name}: there is no {{${placeholder}}}`);
    return make(details);
  }

  readonly #makers: Readonly<Record<string, (details: readonly string[]) => JsonValue>> = {
    uuid: ([which = "1"]) => this.#uuid(which),
    UUID: ([which = "1"]) => this.#uuid(which).toUpperCase(),
    wallet: () => wallet.address,
    otherWallet: () => otherWallet.address,
    walletAccount: ([ledger]) => walletAccountId(wallet.address, Number(ledger)).toString(),
    otherAccount: ([ledger]) => walletAccountId(otherWallet.address, Number(ledger)).toString(),
    repeat: ([text = "", count]) => text.repeat(Number(count)),
    postings: ([count]) => this.#postings(Number(count)),
    // Copies: what is changed in the request must not change what it was made from.
    intent: () => structuredClone(this.#intent),
    attestation: () => structuredClone(this.#attestation),
    walletSignature: ([variant]) => this.#walletSignature(variant),
    buyer: () => buyer.address,
    buyerSignature: ([variant]) => {
      const signature = this.#signature(buyer.privateKey);
      return variant === "highS" ? highS(signature) : signature;
    },
    stranger: () => stranger.address,
    strangerSignature: () => this.#signature(stranger.privateKey),
    highS: () => highS(String(this.#attestation["signature"])),
    cursor: ([variant]) => this.#cursor(variant),
  };

  #uuid(which: string): string {
    const uuid = this.#uuids.get(which) ?? newUuidV7(this.#nowMs);
    this.#uuids.set(which, uuid);
    return uuid;
  }

  #postings(count: number): JsonValue {
    const [first] = (this.#template?.["postings"] ?? []) as JsonValue[];
    return Array.from({ length: count }, () => this.#fill(first ?? null));
  }

  #walletSignature(variant: string | undefined): string {
    if (variant === "other") return this.#signature(otherWallet.privateKey);
    // House entries are nobody's to sign.
    if (this.#template?.["wallet"] !== "{{wallet}}") return "";
    const signature = this.#signature(wallet.privateKey);
    return variant === "highS" ? highS(signature) : signature;
  }

  /** A key's signature over the intent as it is now; over nothing in particular if it cannot be read. */
  #signature(privateKey: Uint8Array): string {
    return signDigest(this.#digest() ?? `0x${"00".repeat(32)}`, privateKey);
  }

  #digest(): string | undefined {
    if (this.#intent === null) return undefined;
    try {
      return this.#digestIntent(parseIntent(fromJson(ClearingIntentSchema, this.#intent)));
    } catch (error) {
      // What is too bad to be signed needs no signature: the row is about that.
      if (error instanceof DomainError || error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #cursor(variant: string | undefined): string {
    const { clusterId } = this.#world;
    const nowNanoseconds = BigInt(this.#nowMs) * 1_000_000n;
    const dayNanoseconds = 86_400_000_000_000n;
    const isFuture = variant === "future";
    return formatCursor(variant === "foreign" ? clusterId + 1n : clusterId, {
      timestamp: isFuture ? nowNanoseconds + dayNanoseconds : nowNanoseconds - dayNanoseconds,
      kind: "COMMIT",
      pendingTimestamp: 0n,
    });
  }
}

function defaultRequest(method: string): JsonObject {
  return method.endsWith("/Attest")
    ? { intent: "{{intent}}", walletSignature: "{{walletSignature}}" }
    : { intent: "{{intent}}", attestation: "{{attestation}}" };
}

/** Sets what stands at paths such as "postings[0].amount"; null takes it away. */
function change(target: JsonObject, changes: JsonObject): JsonObject {
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(/[.[\]]+/).filter((name) => name !== "");
    const last = names.pop() ?? "";
    let place = target as Record<string, JsonValue>;
    for (const name of names) place = place[name] as Record<string, JsonValue>;
    if (value === null) delete place[last];
    else place[last] = value;
  }
  return target;
}

/** The order of the curve. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** The other signature that the same key makes over the same digest, which nobody may use. */
function highS(signature: string): string {
  const s = order - BigInt(`0x${signature.slice(66, 130)}`);
  const v = signature.endsWith("1b") ? "1c" : "1b";
  return `${signature.slice(0, 66)}${s.toString(16).padStart(64, "0")}${v}`;
}
