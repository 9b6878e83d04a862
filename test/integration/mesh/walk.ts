// Goal: the whole mesh does what its demo shows, and a Clearing that is killed between two purchases loses nothing and
// doubles nothing. Method: a mesh with every part real, through Envoy.
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { beforeAll, expect, it } from "vitest";
import { formatIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { assets } from "#common/ledger/assets.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  ClearingService,
  type ClearRequest,
  ClearRequestSchema,
  type ClearResponse,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { fundingIntent, purchaseIntent, signIntent, usd } from "../../../cli/client/intents.ts";
import type { MeshClient } from "../../../cli/client/open-mesh.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

const patienceMs = 40_000;

/** The tests of a walk through all of it. `meshOf`: a mesh with whatever has cleared there, once it runs. */
export function testWalk(meshOf: () => TestMesh): void {
  let mesh: TestMesh;
  let client: MeshClient;

  beforeAll(() => {
    mesh = meshOf();
    client = mesh.client();
  });

  it("shows its demo", async () => {
    const demo = await mesh.run("demo");
    expect(demo.stderr).toBe("");
    expect(demo.code).toBe(0);
    expect(demo.stdout).toContain("Debits equal credits.");
  });

  it("loses and doubles nothing when Clearing is killed between two purchases", async () => {
    const wallet = await fundedWallet(client, mesh.wallet());
    const milk = await attested(client, wallet, purchaseIntent("milk", wallet.address));
    const eggs = await attested(client, wallet, purchaseIntent("eggs", wallet.address));
    const clearing = createClient(ClearingService, client.transport);

    const before = await clearing.clear(milk);
    mesh.kill("clearing");
    await clearUntilAnswered(client, eggs);
    const replay = await clearUntilAnswered(client, milk);

    expect(replay.clearing).toEqual({ ...before.clearing, replayed: true });
    expect(await available(client, wallet)).toBe("1400");
    expect(await journalOf(client, wallet)).toEqual(["2000", "350", "250"]);
  });

  it("clears once what a killed Clearing may have half done", async () => {
    const wallet = await fundedWallet(client, mesh.wallet());
    const purchases = await Promise.all(
      Array.from({ length: 12 }, () =>
        attested(client, wallet, purchaseIntent("bread", wallet.address)),
      ),
    );
    const underWay = purchases.map((purchase) => clearUntilAnswered(client, purchase));
    mesh.kill("clearing");
    await Promise.all(underWay);

    expect(await available(client, wallet)).toBe("200");
    expect(await journalOf(client, wallet)).toHaveLength(13);
  });

  it("tells a subscriber of all of it, in order", async () => {
    const events = createClient(EventStreamService, client.transport);
    const ledger = createClient(LedgerService, client.transport);
    const told: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await events.listEvents({ pageSize: 1000, pageToken });
      for (const event of page.events) {
        if (event.transfers.length > 0) expect(event.attested).toBe(true);
        told.push(...event.transfers.map((transfer) => transfer.transferId));
      }
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    const { transfers } = await ledger.listTransfers({ pageSize: 1000 });
    expect(told).toEqual(transfers.map((transfer) => transfer.transferId));
  });

  it("balances: debits equal credits in every asset, posted and pending", async () => {
    const ledger = createClient(LedgerService, client.transport);
    for (const asset of assets) {
      const trial = await ledger.getTrialBalance({ ledger: asset.ledger });
      expect(trial.debitsPosted).toBe(trial.creditsPosted);
      expect(trial.debitsPending).toBe(trial.creditsPending);
    }
  });
}

/** Opens a wallet's account and puts 20.00 USD into it. */
async function fundedWallet(client: MeshClient, wallet: Wallet): Promise<Wallet> {
  const clearing = createClient(ClearingService, client.transport);
  await clearing.openWallet({ wallet: wallet.address, ledger: usd });
  await clearing.clear(await attested(client, undefined, fundingIntent(2_000n, wallet.address)));
  return wallet;
}

async function attested(
  client: MeshClient,
  signer: Wallet | undefined,
  intent: Intent,
): Promise<ClearRequest> {
  const walletSignature = signer === undefined ? "" : signIntent(intent, signer, client.identity);
  const proto = formatIntent(intent);
  const attestor = createClient(AttestorService, client.transport);
  const { attestation } = await attestor.attest({ intent: proto, walletSignature });
  if (attestation === undefined) throw new Error("Attest answered no attestation");
  return create(ClearRequestSchema, { intent: proto, attestation });
}

/** What a caller does who does not know the outcome: the same intent again, until there is an answer. */
async function clearUntilAnswered(
  client: MeshClient,
  request: ClearRequest,
): Promise<ClearResponse> {
  const clearing = createClient(ClearingService, client.transport);
  const again = [Code.Unavailable, Code.DeadlineExceeded, Code.Unknown, Code.Aborted];
  for (const endMs = Date.now() + patienceMs; ; ) {
    try {
      return await clearing.clear(request, { timeoutMs: 5_000 });
    } catch (error) {
      if (!again.includes(ConnectError.from(error).code) || Date.now() > endMs) throw error;
      await sleep(100);
    }
  }
}

async function available(client: MeshClient, wallet: Wallet): Promise<string | undefined> {
  const ledger = createClient(LedgerService, client.transport);
  const { balance } = await ledger.getBalance({ wallet: wallet.address, ledger: usd });
  return balance?.available;
}

/** The amounts of the wallet's journal entries, in order. */
async function journalOf(client: MeshClient, wallet: Wallet): Promise<(string | undefined)[]> {
  const ledger = createClient(LedgerService, client.transport);
  const { journalEntries } = await ledger.listJournalEntries({ wallet: wallet.address });
  return journalEntries.map((entry) => entry.lines[0]?.amount);
}
