import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import { formatAttestation, formatIntent, parseAttestation } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import {
  type CommittedTransfer,
  isDerivedRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import type { ServiceName } from "#common/service-names.ts";
import type { Clearing } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { fundingIntent, signIntent, usd } from "../../../cli/client/intents.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import type { ClearRequest } from "../../../services/clearing/core/clearing.ts";
import { ClearingAnswers } from "../clearing/answers.ts";
import { nextIntent } from "../clearing/load.ts";
import { createRandom } from "../intents/random-history.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { CallJudge, type JudgedCall } from "./call-judge.ts";
import { type Caller, openCallers } from "./callers.ts";

export interface JudgedLoadOptions {
  readonly mesh: TestMesh;
  readonly seed: number;
  /** host:port of the edge, or of a proxy before it. */
  readonly address: string;
  /** The longest pause of one client between two clearings, in milliseconds. */
  readonly pauseMsMax: number;
}

/** Longer than a client pauses after an error, and than a busy machine needs for a call. */
const settleMs = 120_000;
const afterErrorMs = 50;
/** The longest wait that an error asks for: whoever has less time left is right to give up. */
const giveUpMs = 10_000;
const probePauseMs = 50;

/**
 * Clients of a whole mesh, over every protocol, who clear and read whatever becomes of it; and every answer that they were
 * given, held against the contract now and against the ledger in the end.
 */
export class JudgedLoad {
  readonly answers = new ClearingAnswers();
  readonly judge = new CallJudge();
  /** What those were told who repeat as they may, and long before their deadline. */
  readonly patientErrors: string[] = [];
  /** Clearings that were acknowledged. */
  cleared = 0;
  /** How long each took that was acknowledged to one who does not repeat, in milliseconds; whoever reads it may empty it. */
  readonly latenciesMs: number[] = [];
  readonly #options: JudgedLoadOptions;
  readonly #callers: readonly Caller[];
  readonly #wallets: readonly Wallet[];
  /** When the call began that each service last answered well, to one who does not repeat. */
  readonly #served = new Map<ServiceName, { beganMs: number; endedMs: number }>();
  /** Requests with what Clear said of each, when it was no clearing. */
  readonly #told = new Map<ClearRequest, Set<string>>();
  readonly #stop = new AbortController();
  #working: Promise<void>[] = [];

  constructor(options: JudgedLoadOptions) {
    this.#options = options;
    this.#callers = openCallers(options.mesh, options.address);
    this.#wallets = this.#callers.map(() => options.mesh.wallet());
  }

  /** Opens and funds a wallet for each client, and begins. */
  async start(): Promise<void> {
    for (const [index, caller] of this.#callers.entries()) {
      const wallet = this.#walletOf(index);
      await caller.clearing.openWallet({ wallet: wallet.address, ledger: usd });
      await this.#clear(caller, fundingIntent(10_000_000n, wallet.address), "");
    }
    this.#working = this.#callers.flatMap((caller, index) => [
      this.#clearOn(caller, this.#walletOf(index), createRandom(this.#options.seed + index)),
      this.#readOn(caller, this.#walletOf(index)),
    ]);
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#working);
  }

  close(): void {
    for (const caller of this.#callers) caller.close();
  }

  /**
   * How long after an instant (performance.now()) the first call ended well that began after it, of one who does not
   * repeat, in milliseconds. Rejects if there is none for `patienceMs`.
   */
  async servedAfter(service: ServiceName, sinceMs: number, patienceMs: number): Promise<number> {
    for (const untilMs = performance.now() + patienceMs; performance.now() < untilMs; ) {
      const served = this.#served.get(service);
      if (served !== undefined && served.beganMs >= sinceMs) return served.endedMs - sinceMs;
      await sleep(5);
    }
    throw new Error(`${service} did not serve again within ${patienceMs} ms`);
  }

  /** Asks again for everything of which nothing is known, until it is. */
  async settle(): Promise<void> {
    const [caller] = this.#callers.filter(({ isPatient }) => isPatient);
    if (caller === undefined) throw new Error("one repeats");
    for (const untilMs = Date.now() + settleMs; this.answers.unanswered().length > 0; ) {
      if (Date.now() > untilMs) throw new Error("nobody tells what became of what was sent");
      for (const request of this.answers.unanswered()) await this.#send(caller, request);
    }
  }

  /** Of what nobody was told more than NOT_SENT, before `settle`: the ids of intents that are in the ledger all the same. */
  sentAllTheSame(ledger: readonly CommittedTransfer[]): readonly string[] {
    const rows = new Map(ledger.map((row) => [row.id, row]));
    const unsent = [...this.#told].filter(([, said]) => [...said].join() === "NOT_SENT");
    return unsent.flatMap(([{ intent, attestation }]) => {
      const isThere = transferRows(intent, attestation.digest).some((row) => {
        const transfer = rows.get(row.id);
        return transfer !== undefined && isDerivedRow(transfer, row);
      });
      return isThere ? [intent.intentId] : [];
    });
  }

  async #clearOn(caller: Caller, wallet: Wallet, random: () => number): Promise<void> {
    const open: Intent[] = [];
    while (!this.#stop.signal.aborted) {
      const intent = nextIntent({ wallet, random }, open);
      const isHouse = intent.wallet !== wallet.address;
      const { identity } = this.#options.mesh;
      const signature = isHouse ? "" : signIntent(intent, wallet, identity);
      const cleared = await this.#clear(caller, intent, signature);
      if (cleared !== undefined && intent.phase === "PENDING") open.push(intent);
      await sleep(Math.floor(random() * this.#options.pauseMsMax));
    }
  }

  async #clear(caller: Caller, intent: Intent, signature: string): Promise<Clearing | undefined> {
    const attested = await this.#call(caller, "attestor", "Attest", (options) =>
      caller.attestor.attest({ intent: formatIntent(intent), walletSignature: signature }, options),
    );
    if (attested?.attestation === undefined) return undefined;
    const attestation = parseAttestation(attested.attestation);
    return this.#send(caller, { intent, attestation, validateOnly: false });
  }

  async #send(caller: Caller, request: ClearRequest): Promise<Clearing | undefined> {
    this.answers.send(request);
    const call = this.answers.nextCall();
    const beganMs = performance.now();
    const proto = {
      intent: formatIntent(request.intent),
      attestation: formatAttestation(request.attestation),
    };
    const onError = (error: ConnectError, reason: string | undefined) => {
      const said = this.#told.get(request) ?? new Set();
      this.#told.set(request, said.add(reason ?? "no answer"));
      this.answers.fail([request], error);
    };
    const answer = await this.#call(
      caller,
      "clearing",
      "Clear",
      (options) => caller.clearing.clear(proto, options),
      onError,
    );
    if (answer?.clearing === undefined) return undefined;
    this.#told.delete(request);
    this.answers.take(request, call, answer.clearing);
    this.cleared += 1;
    if (!caller.isPatient) this.latenciesMs.push(performance.now() - beganMs);
    return answer.clearing;
  }

  /** Asks every service for something small, over and over. */
  async #readOn(caller: Caller, { address }: Wallet): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#call(caller, "ledger", "GetBalance", (options) =>
        caller.ledger.getBalance({ wallet: address, ledger: usd }, options),
      );
      await this.#call(caller, "eventstream", "ListEvents", (options) =>
        caller.eventstream.listEvents({ pageSize: 1 }, options),
      );
      await this.#call(caller, "checkout", "ListProducts", (options) =>
        caller.checkout.listProducts({}, options),
      );
      await sleep(probePauseMs);
    }
  }

  async #call<Answer>(
    { isPatient, name, timeoutMs }: Caller,
    service: ServiceName,
    what: string,
    ask: (options: { timeoutMs: number }) => Promise<Answer>,
    onError: (error: ConnectError, reason: string | undefined) => void = () => undefined,
  ): Promise<Answer | undefined> {
    const call: JudgedCall = { what, beganMs: performance.now(), timeoutMs };
    try {
      const answer = await ask({ timeoutMs });
      this.judge.served(call);
      if (!isPatient) {
        this.#served.set(service, { beganMs: call.beganMs, endedMs: performance.now() });
      }
      return answer;
    } catch (error) {
      const reason = this.judge.refused(call, error);
      onError(ConnectError.from(error), reason);
      const leftMs = call.beganMs + timeoutMs - performance.now();
      if (isPatient && leftMs > giveUpMs && !isOutcome(reason)) {
        this.patientErrors.push(`${name}, ${what}: ${reason ?? String(error)}`);
      }
      await sleep(afterErrorMs);
      return undefined;
    }
  }

  #walletOf(index: number): Wallet {
    const wallet = this.#wallets[index];
    if (wallet === undefined) throw new Error("each has one");
    return wallet;
  }
}

/** What a reservation meets that ran out, or was resolved before: no error of a mesh, but an answer. */
function isOutcome(reason: string | undefined): boolean {
  return /^(PENDING_|INTENT_FAILED$|INSUFFICIENT_FUNDS$)/.test(reason ?? "");
}
