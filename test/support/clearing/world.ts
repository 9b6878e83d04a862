import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { zeroWallet } from "#common/address.ts";
import type { Caller } from "#common/caller.ts";
import type { CallLimit } from "#common/deadline.ts";
import { asError, DomainError } from "#common/domain-error.ts";
import { domainEncoder, intentDigester, intentDomain } from "#common/intent/digest.ts";
import type { AttestedIntent, Intent, Phase, Posting } from "#common/intent/intent.ts";
import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createLogger } from "#common/process/logger.ts";
import { type EngineConfig, openClient } from "#common/tigerbeetle/open-client.ts";
import { type ReadOnlyClient, readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { batchDigester, type DigestBatch } from "#common/tree/attestation-batch.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { type ClearResult, createClearList } from "../../../services/clearing/batch/clear-list.ts";
import { type ClearingConfig, clearingConfig } from "../../../services/clearing/config.ts";
import type { Clearing, ClearRequest } from "../../../services/clearing/core/clearing.ts";
import type { AttestorRecords } from "../../../services/clearing/core/ports.ts";
import { type ClearingDeps, createClearingDeps } from "../../../services/clearing/deps.ts";
import { attestTree } from "../intents/trees.ts";
import type { RunningEngine, TestEngine } from "../ledger/tigerbeetle.ts";
import { patience } from "../process/node-environment.ts";

/** A key and its address. */
export interface TestKey {
  readonly privateKey: Uint8Array;
  /** EIP-55. */
  readonly address: string;
}

/** Makes a key. */
export function newKey(): TestKey {
  const privateKey = randomBytes(32);
  return { privateKey, address: addressOfPrivateKey(privateKey) };
}

/** What every call of a test may take, unless the test is about that. */
const callMs = 60_000;

const verifyingContract = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

/** The accounts of the chart that tests move money between. */
export const chart = {
  cash: 1_000_002n,
  stripe: 3_000_001n,
  instacart: 3_000_002n,
  milk: 4_000_001n,
  eggs: 4_000_002n,
  bread: 4_000_003n,
} as const;

/** What an intent may say otherwise than the defaults do. */
export interface IntentDraft extends Partial<Intent> {
  readonly postings: readonly Posting[];
}

/** Sums over all accounts of an asset, minor units. */
export interface Totals {
  readonly debitsPosted: bigint;
  readonly creditsPosted: bigint;
  readonly debitsPending: bigint;
  readonly creditsPending: bigint;
}

/** An attested world around Clearing: a ledger, records, a signer's key, and as many replicas as a test opens. */
export class ClearingWorld {
  readonly engine: RunningEngine;
  readonly databaseUrl: string;
  readonly signer: TestKey = newKey();
  /** Epoch milliseconds; replicas opened after a change of `clockOffsetMs` and before follow it alike. */
  clockOffsetMs = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), "sovr-clearing-"));
  readonly #digestIntent: (intent: Intent) => string;
  readonly #digestBatch: DigestBatch;
  /** When an Attestor would have bound each digest: its clock is the tests'. */
  readonly #boundTimes = new Map<string, bigint>();
  readonly #settings: Readonly<Record<string, string>>;
  readonly #open: ClearingDeps[] = [];
  #reader: Promise<ReadOnlyClient> | undefined;

  /** `settings`: added to the environment of every Clearing here. */
  constructor(
    engine: RunningEngine,
    databaseUrl: string,
    settings: Readonly<Record<string, string>> = {},
  ) {
    this.#settings = settings;
    this.engine = engine;
    this.databaseUrl = databaseUrl;
    const domain = intentDomain({
      environment: "test",
      clusterId: engine.config.clusterId,
      chainId: 31_337n,
      verifyingContract,
    });
    this.#digestIntent = intentDigester(domain);
    this.#digestBatch = batchDigester(domainEncoder(domain));
    this.writeSigners({});
  }

  /** Writes the signers file; replicas that are open see it within a second, new ones at once. */
  writeSigners(extra: { readonly revokeTime?: string; readonly retireTime?: string }): void {
    const entry = { address: this.signer.address, activateTime: "2020-01-01T00:00:00Z", ...extra };
    writeFileSync(this.signersFile, JSON.stringify([entry]));
  }

  get signersFile(): string {
    return join(this.#folder, "signers.json");
  }

  /** The environment of a Clearing process in this world. */
  environment(): Record<string, string> {
    const { engine } = this.engine.config;
    return {
      SOVR_ENVIRONMENT: "test",
      DATABASE_URL: this.databaseUrl,
      SIGNERS_FILE: this.signersFile,
      EIP712_VERIFYING_CONTRACT: verifyingContract,
      JWT_JWKS_FILE: join(this.#folder, "jwks.json"),
      TIGERBEETLE_CLUSTER_ID: String(this.engine.config.clusterId),
      TIGERBEETLE_BATCH_MAX: String(this.engine.config.batchMax),
      ...patience,
      ...this.#settings,
      ...(engine.kind === "embedded"
        ? { EMBEDDED_LEDGER_PATH: engine.path }
        : { TIGERBEETLE_ADDRESSES: engine.addresses.join(",") }),
    };
  }

  /** Opens a replica of Clearing in this process. */
  async openReplica(
    overrides: {
      readonly nowMs?: () => number;
      readonly engine?: EngineConfig;
      readonly databaseUrl?: string;
      /** Go by what stands in the Attestor's table, in place of taking each intent for attested when it was issued. */
      readonly asksAttestor?: boolean;
    } = {},
  ): Promise<ClearingDeps> {
    const { databaseUrl = this.databaseUrl } = overrides;
    const base = { ...clearingConfig(this.environment()), databaseUrl };
    const config: ClearingConfig =
      overrides.engine === undefined ? base : { ...base, engine: overrides.engine };
    const deps = await createClearingDeps(config, {
      nowMs: overrides.nowMs ?? (() => this.nowMs()),
      logger: createLogger("clearing", "silent"),
      ...(overrides.asksAttestor === true ? {} : { attestor: this.#attestor }),
    });
    this.#open.push(deps);
    return deps;
  }

  readonly #attestor: AttestorRecords = {
    boundTime: async (_intentId, digest) => this.#boundTimes.get(digest),
  };

  /** Closes one replica; a TigerBeetle that runs with --development takes eight clients at once, a replica has two. */
  async closeReplica(replica: ClearingDeps): Promise<void> {
    this.#open.splice(this.#open.indexOf(replica), 1);
    await replica.close();
  }

  nowMs(): number {
    return Date.now() + this.clockOffsetMs;
  }

  /** An intent of the house, valid for an hour. */
  intent(draft: IntentDraft): Intent {
    const now = BigInt(Math.floor(this.nowMs() / 1000));
    return {
      intentId: newUuidV7(),
      phase: "IMMEDIATE" as Phase,
      wallet: zeroWallet,
      merchantId: "market-1",
      reference: "",
      corrects: "",
      pendingIntentId: "",
      timeoutSeconds: 0,
      issueTime: now,
      expireTime: now + 3600n,
      ...draft,
    };
  }

  digest(intent: Intent): string {
    return this.#digestIntent(intent);
  }

  /** Attests an intent, as the Attestor would; with the wallet's signature if its key is given. */
  attest(intent: Intent, wallet?: TestKey, signer: TestKey = this.signer): ClearRequest {
    const digest = this.#digestIntent(intent);
    this.#boundTimes.set(digest, intent.issueTime);
    return {
      intent,
      attestation: {
        digest,
        signature: signDigest(digest, signer.privateKey),
        signer: signer.address,
        walletSignature: wallet === undefined ? "" : signDigest(digest, wallet.privateKey),
      },
      validateOnly: false,
    };
  }

  /** The same requests, attested by one signature over all of them. */
  inTree(requests: readonly ClearRequest[]): ClearRequest[] {
    const walletSignatures = new Map(
      requests.map(({ intent, attestation }) => [intent.intentId, attestation.walletSignature]),
    );
    const attestations = attestTree(
      requests.map(({ intent }) => intent),
      {
        digestIntent: this.#digestIntent,
        digestBatch: this.#digestBatch,
        signer: this.signer,
        walletSignature: ({ intentId }) => walletSignatures.get(intentId) ?? "",
      },
    );
    return requests.map((request, index) => {
      const attestation = attestations[index] ?? request.attestation;
      return { ...request, attestation };
    });
  }

  /** FUNDING from CASH to a wallet, cents. */
  funding(wallet: string, amount: bigint): ClearRequest {
    const postings = [posting(chart.cash, walletAccountId(wallet, 1), amount, 1)];
    return this.attest(this.intent({ wallet, postings }));
  }

  /** PURCHASE of milk, signed by the wallet, cents. */
  purchase(key: TestKey, amount: bigint, draft: Partial<Intent> = {}): ClearRequest {
    const postings = [posting(walletAccountId(key.address, 1), chart.milk, amount, 2)];
    return this.attest(this.intent({ wallet: key.address, postings, ...draft }), key);
  }

  /** A wallet, opened and funded in cents. */
  async openFunded(replica: ClearingDeps, amount: bigint): Promise<TestKey> {
    const key = newKey();
    await replica.clearing.openWallet(key.address, 1, operator, soon());
    if (amount > 0n) await clearOne(replica, this.funding(key.address, amount));
    return key;
  }

  /** An intent of the house that posts or voids a pending one. */
  resolve(
    pending: Intent,
    phase: "POST_PENDING" | "VOID_PENDING",
    postings: readonly Posting[],
  ): ClearRequest {
    const { wallet, intentId: pendingIntentId } = pending;
    return this.attest(this.intent({ phase, wallet, pendingIntentId, postings }));
  }

  /** What a wallet's account may spend, read from the ledger past Clearing. */
  async available(accountId: bigint): Promise<bigint> {
    const reader = await this.#ledgerReader();
    const [row] = await reader.lookupAccounts([accountId]);
    if (row === undefined) throw new Error(`there is no account ${accountId}`);
    return row.credits_posted - row.debits_posted - row.debits_pending;
  }

  /** The sums of all accounts of ledger 1. */
  async totals(): Promise<Totals> {
    const reader = await this.#ledgerReader();
    const sums = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };
    const limit = this.engine.config.batchMax;
    for (let timestampMin = 0n; ; ) {
      const rows = await reader.queryAccounts({
        user_data_128: 0n,
        user_data_64: 0n,
        user_data_32: 0,
        ledger: 1,
        code: 0,
        timestamp_min: timestampMin,
        timestamp_max: 0n,
        limit,
        flags: 0,
      });
      for (const row of rows) {
        sums.debitsPosted += row.debits_posted;
        sums.creditsPosted += row.credits_posted;
        sums.debitsPending += row.debits_pending;
        sums.creditsPending += row.credits_pending;
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < limit) return sums;
      timestampMin = last.timestamp + 1n;
    }
  }

  /** Waits until the ledger's clock has passed a time, nanoseconds. */
  async untilLedgerTime(time: bigint): Promise<void> {
    const reader = await this.#ledgerReader();
    while ((await reader.clusterTime()) <= time) await sleep(20);
  }

  #ledgerReader(): Promise<ReadOnlyClient> {
    this.#reader ??= openClient(this.engine.config).then(readOnlyClient);
    return this.#reader;
  }

  async close(): Promise<void> {
    (await this.#reader)?.destroy();
    await Promise.all(this.#open.splice(0).map((replica) => replica.close()));
    await this.engine.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A caller whose credentials are bound to no wallet. */
export const operator = { wallet: undefined } as const;

/** A limit that a test does not mean to reach. */
export function soon(ms: number = callMs): { readonly deadlineMs: number } {
  return { deadlineMs: Date.now() + ms };
}

export function posting(
  debitAccountId: bigint,
  creditAccountId: bigint,
  amount: bigint,
  code: number,
  ledger = 1,
): Posting {
  return { debitAccountId, creditAccountId, amount, ledger, code };
}

/** Starts an engine and makes a world on it. */
export async function startClearingWorld(
  engine: TestEngine,
  databaseUrl: string,
  settings?: Readonly<Record<string, string>>,
): Promise<ClearingWorld> {
  return new ClearingWorld(await engine.start(), databaseUrl, settings);
}

/** Clears one intent: the clearing, or throws what refused it. */
export function clearOne(
  replica: Pick<ClearingDeps, "clearing">,
  request: ClearRequest,
  limit: CallLimit = soon(),
  caller: Caller = operator,
): Promise<Clearing> {
  return replica.clearing.clear(request, caller, limit);
}

/** Clears a list of intents, as a batch thread does. */
export function clearAll(
  replica: Pick<ClearingDeps, "clearing">,
  requests: readonly ClearRequest[],
  limit: CallLimit = soon(),
): Promise<readonly ClearResult[]> {
  return createClearList(replica.clearing, nextTurn)(requests, operator, limit);
}

/** Clears one intent: the clearing, or what refused it. */
export function resultOf(
  replica: Pick<ClearingDeps, "clearing">,
  request: ClearRequest,
  limit: CallLimit = soon(),
): Promise<ClearResult> {
  return clearOne(replica, request, limit).catch(asError);
}

/** How a result reads in an assertion: the state, or the kind of the refusal. */
export function kindOf(result: ClearResult | undefined): string {
  if (result === undefined) return "nothing";
  if (result instanceof DomainError) return result.kind;
  return result instanceof Error ? `fault: ${result.message}` : result.state;
}

/** The refusal of an intent; throws if it is not refused. */
export async function refusalOf(
  replica: Pick<ClearingDeps, "clearing">,
  request: ClearRequest,
  limit: CallLimit = soon(),
  caller: Caller = operator,
): Promise<DomainError> {
  const result = await clearOne(replica, request, limit, caller).catch(asError);
  if (result instanceof DomainError) return result;
  throw new Error(`expected a refusal, got ${kindOf(result)}`, { cause: result });
}

/** The evidence alone, as `read` gives it back. */
export function evidenceOf({ intent, attestation }: ClearRequest): AttestedIntent {
  return { intent, attestation };
}
