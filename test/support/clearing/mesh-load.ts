import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { formatAttestation, formatIntent, parseAttestation } from "#common/intent/codec.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { explainCutCalls } from "#common/rpc/cut-call.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { fundingIntent, usd } from "../../../cli/client/intents.ts";
import type { MeshClient } from "../../../cli/client/open-mesh.ts";
import { signToken } from "../../../cli/client/token.ts";
import { developmentBatchMax } from "../../../cli/parts/tigerbeetle.ts";
import { edgeUrl, type Settings } from "../../../cli/state/settings.ts";
import { requireMesh, settingsOf } from "../../../cli/state/state.ts";
import type { ClearRequest } from "../../../services/clearing/core/clearing.ts";
import { everyTransferIn } from "../ledger/every-transfer.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { ClearingAnswers } from "./answers.ts";

const callMs = 10_000;
const pauseMs = 20;

/**
 * Clients of a mesh that clear one intent after another through Envoy, whatever becomes of the mesh, and remember every
 * answer. The mesh may be restarted meanwhile: the connection is made anew by itself.
 */
export class MeshLoad {
  readonly answers = new ClearingAnswers();
  /** Answers that break the contract: without a reason, or unavailable and without a time to come back. */
  readonly strange: string[] = [];
  /** How often each refusal came. */
  readonly refusals = new Map<string, number>();
  /** Intents that were acknowledged. */
  cleared = 0;
  readonly #client: MeshClient;
  readonly #wallet: string;
  #over = false;
  #working: Promise<void>[] = [];

  /** `wallet`: an address; its account is made by `open`. */
  constructor(client: MeshClient, wallet: string) {
    this.#client = client;
    this.#wallet = wallet;
  }

  async open(): Promise<void> {
    const clearing = createClient(ClearingService, this.#client.transport);
    await clearing.openWallet({ wallet: this.#wallet, ledger: usd });
  }

  start(clientsCount: number): void {
    this.#over = false;
    this.#working = Array.from({ length: clientsCount }, () => this.#work());
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#working);
  }

  /** Asks again for everything of which nothing is known, until it is. Rejects after a minute. */
  async settle(): Promise<void> {
    for (const untilMs = Date.now() + 60_000; this.answers.unanswered().length > 0; ) {
      if (Date.now() > untilMs) throw new Error(`nobody tells: ${[...this.refusals].join("; ")}`);
      for (const request of this.answers.unanswered()) await this.#clear(request);
    }
  }

  async #work(): Promise<void> {
    while (!this.#over) {
      const request = await this.#attested();
      if (request !== undefined) {
        this.answers.send(request);
        await this.#clear(request);
      }
    }
  }

  async #attested(): Promise<ClearRequest | undefined> {
    const intent = fundingIntent(1n, this.#wallet);
    try {
      const { attestation } = await createClient(AttestorService, this.#client.transport).attest(
        { intent: formatIntent(intent) },
        { timeoutMs: callMs },
      );
      if (attestation === undefined) throw new Error("Attest answered nothing");
      return { intent, attestation: parseAttestation(attestation), validateOnly: false };
    } catch (error) {
      this.#note("Attest", error);
      await sleep(pauseMs);
      return undefined;
    }
  }

  async #clear(request: ClearRequest): Promise<void> {
    const call = this.answers.nextCall();
    try {
      const { clearing } = await createClient(ClearingService, this.#client.transport).clear(
        {
          intent: formatIntent(request.intent),
          attestation: formatAttestation(request.attestation),
        },
        { timeoutMs: callMs },
      );
      if (clearing === undefined) throw new Error("Clear answered nothing");
      this.answers.take(request, call, clearing);
      this.cleared += 1;
    } catch (error) {
      this.#note("Clear", error);
      this.answers.fail([request], error);
      await sleep(pauseMs);
    }
  }

  #note(method: string, thrown: unknown): void {
    const error = ConnectError.from(thrown);
    // The client's own clock is no answer.
    const reason =
      reasonOf(error) ?? (error.code === Code.DeadlineExceeded ? "no answer" : undefined);
    if (reason === undefined) this.strange.push(`${method}: ${error.message}`);
    const comesBack = error.findDetails(RetryInfoSchema).length > 0;
    if (error.code === Code.Unavailable && !comesBack) {
      this.strange.push(`${method}: ${reason} does not say when to come back`);
    }
    const name = reason ?? "no reason";
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
  }
}

/** A client through Envoy whose token was made once: it asks nothing of the state folder, whatever becomes of its disk. */
export async function steadyClient(settings: Settings): Promise<MeshClient> {
  const { state, identity } = requireMesh(settings);
  const token = await signToken(settings);
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: edgeUrl(settingsOf(settings, state)),
    httpVersion: "1.1",
    interceptors: [explainCutCalls, authorize],
  });
  return { identity, edgeUrl: edgeUrl(settingsOf(settings, state)), transport };
}

/** Every transfer in the ledger of a mesh that runs, read past its services. */
export async function everyTransferOf({
  settings,
  identity,
}: Pick<TestMesh, "settings" | "identity">): Promise<CommittedTransfer[]> {
  const isEmbedded = identity.engine === "embedded";
  return everyTransferIn({
    clusterId: BigInt(identity.clusterId),
    batchMax: isEmbedded ? 8_189 : developmentBatchMax,
    engine: isEmbedded
      ? { kind: "embedded", path: `${settings.state}/ledger.db` }
      : { kind: "tigerbeetle", addresses: [`${settings.host}:${settings.ports.tigerbeetle}`] },
  });
}
