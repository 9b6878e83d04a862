import { create, type DescMethod, isMessage, type Message } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { formatIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { Decision } from "#gen/sovr/attestor/v1/approval_pb.ts";
import type { Attestation } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import type { ClearingIntent } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingState } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import {
  ClearingService,
  type ClearRequest,
  ClearRequestSchema,
  type OpenWalletRequest,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { clearIntent } from "../../../cli/client/clear-intent.ts";
import { fundingIntent, purchaseIntent, signIntent, usd } from "../../../cli/client/intents.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { persist } from "../postgres/persist.ts";

/** An intent that is attested and has not been sent. */
export interface Prepared {
  readonly intent: ClearingIntent;
  readonly attestation: Attestation;
}

/** Gives the request of a method: one that is answered well while nothing fails, and that no two calls share. */
export interface Requests {
  of(method: DescMethod): Message;
  /** Attests as many intents as calls of Clear and ClearBatch may come before the next time: later nobody may attest. */
  prepare(count: number): Promise<void>;
  /** Whether what a write asked for is in the ledger now. */
  isThere(request: ClearRequest | OpenWalletRequest): Promise<boolean>;
  /** Sends an intent once more; rejects unless it is cleared then. */
  clear(request: ClearRequest): Promise<void>;
}

/** A wallet with money, an order, an entry; and a request for each method of the contracts. */
export async function makeRequests(mesh: TestMesh): Promise<Requests> {
  const client = mesh.client();
  const { transport } = client;
  const clearing = createClient(ClearingService, transport);
  const attestor = createClient(AttestorService, transport);
  const wallet = mesh.wallet();
  const ledger = createClient(LedgerService, transport);
  const ofWallet = { wallet: wallet.address, ledger: usd };
  const { accountId } = await patiently(() => clearing.openWallet(ofWallet));
  const funding = fundingIntent(100_000_000n, wallet.address);
  await patiently(() => clearIntent(client, funding));
  const prepare = (intent: Intent) => attest(attestor, mesh, wallet, intent);
  const known = await prepare(purchaseIntent("milk", wallet.address));
  const { clearing: entry } = await patiently(() => clearing.clear(known));
  const order = { merchantId: "walk", orderId: newUuidV7() };
  const items = [{ sku: "MILK", quantity: 1 }];
  const purchase = () => ({
    intentId: newUuidV7(),
    wallet: wallet.address,
    items,
    paymentMethod: PaymentMethod.BALANCE,
  });
  const first = { ...purchase(), ...order };
  await patiently(() => createClient(CheckoutService, transport).createCheckout(first));

  const { intentId = "" } = entry ?? {};
  const spare: Prepared[] = [];
  const next = (): Record<string, unknown> => {
    const prepared = spare.pop();
    if (prepared === undefined) throw new Error("more intents are needed than were prepared");
    return { ...prepared };
  };
  const watched = { accountIds: [accountId] };
  const ofOrder = { key: { case: "order" as const, value: order } };
  /** By service and method; what a method needs that is not here, is nothing. */
  const inits: Readonly<Record<string, () => Record<string, unknown>>> = {
    "AttestorService.Attest": () => ({
      intent: formatIntent(fundingIntent(1n, wallet.address)),
    }),
    "AttestorService.AttestBatch": () => ({
      requests: [1n, 2n].map((amount) => ({
        intent: formatIntent(fundingIntent(amount, wallet.address)),
      })),
    }),
    "AttestorService.VerifyAttestation": () => ({ ...known }),
    "AttestorService.GetDomain": () => ({}),
    // No policy asks for approvals here: nothing is proposable, and no proposal is there.
    "AttestorService.ProposeIntent": () => ({
      intent: formatIntent(fundingIntent(1n, wallet.address)),
    }),
    "AttestorService.ListProposals": () => ({ pageSize: 2 }),
    "AttestorService.GetProposal": () => ({ intentId: newUuidV7() }),
    "AttestorService.DecideProposal": () => ({
      intentId: newUuidV7(),
      approval: approvalOf(wallet),
    }),
    "AttestorService.WithdrawProposal": () => ({ intentId: newUuidV7() }),
    "ClearingService.Clear": next,
    "ClearingService.ClearBatch": () => ({ requests: [next()] }),
    "ClearingService.GetClearing": () => ({ intentId }),
    "ClearingService.OpenWallet": () => ({ wallet: mesh.wallet().address, ledger: usd }),
    "CheckoutService.ListProducts": () => ({}),
    "CheckoutService.CreateCheckout": () => ({
      ...purchase(),
      merchantId: "walk",
      orderId: newUuidV7(),
    }),
    "CheckoutService.GetCheckout": () => ofOrder,
    "CheckoutService.WatchCheckout": () => ofOrder,
    "CheckoutService.ListCheckouts": () => ({ merchantId: "walk", pageSize: 2 }),
    "CheckoutService.CancelCheckout": () => ofOrder,
    "CheckoutService.RefundCheckout": () => ({ order, items, intentId: newUuidV7() }),
    "CheckoutService.FulfilCheckout": () => ({ order, items, intentId: newUuidV7() }),
    "CheckoutService.ListWebhookEvents": () => ({ pageSize: 2 }),
    "CheckoutService.ReplayWebhookEvent": () => ({ eventId: "evt_walk" }),
    "LedgerService.ListAssets": () => ({}),
    "LedgerService.ListAccounts": () => ({ pageSize: 2 }),
    "LedgerService.GetAccount": () => ofWallet,
    "LedgerService.GetBalance": () => ofWallet,
    "LedgerService.BatchGetBalances": () => watched,
    "LedgerService.GetTransfer": () => ({ transferId: entry?.transferIds[0] ?? "" }),
    "LedgerService.ListTransfers": () => ({ accountId, pageSize: 2 }),
    "LedgerService.GetJournalEntry": () => ({ intentId }),
    "LedgerService.ListJournalEntries": () => ({ pageSize: 2 }),
    "LedgerService.GetStatement": () => ({ accountId, pageSize: 2 }),
    "LedgerService.GetTrialBalance": () => ({ ledger: usd }),
    "EventStreamService.Subscribe": () => ({}),
    "EventStreamService.ListEvents": () => ({
      start: { case: "earliest", value: true },
      pageSize: 2,
    }),
    "EventStreamService.WatchBalances": () => watched,
  };
  return {
    of(method) {
      const init = inits[nameOf(method)];
      if (init === undefined) throw new Error(`give ${nameOf(method)} a request here`);
      return create(method.input, init());
    },
    async prepare(count) {
      const missing = Math.max(0, count - spare.length);
      const intents = Array.from({ length: missing }, () => purchaseIntent("milk", wallet.address));
      spare.push(...(await Promise.all(intents.map(prepare))));
    },
    async isThere(request) {
      if (!isMessage(request, ClearRequestSchema)) {
        const { wallet: address, ledger: asset } = request;
        const found = await persist(() => ledger.getAccount({ wallet: address, ledger: asset }));
        return found.answer !== undefined;
      }
      const intent = { intentId: request.intent?.intentId ?? "" };
      const { answer } = await persist(() => clearing.getClearing(intent));
      return answer?.clearing?.state === ClearingState.CLEARED;
    },
    async clear(request) {
      await patiently(() => clearing.clear(request));
    },
  };
}

/** Somebody's approval of something. */
function approvalOf({ address }: Wallet) {
  const seconds = BigInt(Math.floor(Date.now() / 1_000));
  return {
    approver: address,
    decision: Decision.APPROVE,
    issueTime: { seconds, nanos: 0 },
    expireTime: { seconds: seconds + 60n, nanos: 0 },
    signature: `0x${"11".repeat(64)}`,
  };
}

/** Such as "LedgerService.GetBalance". */
export function nameOf(method: DescMethod): string {
  return `${method.parent.name}.${method.name}`;
}

async function attest(
  attestor: Client<typeof AttestorService>,
  mesh: TestMesh,
  wallet: Wallet,
  intent: Intent,
): Promise<Prepared> {
  const proto = formatIntent(intent);
  const walletSignature = signIntent(intent, wallet, mesh.identity);
  const { attestation } = await patiently(() =>
    attestor.attest({ intent: proto, walletSignature }),
  );
  if (attestation === undefined) throw new Error("Attest answered no attestation");
  return { intent: proto as ClearingIntent, attestation };
}

/** The answer of a call that is repeated until it has one. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const { answer, reason } = await persist(call);
  if (reason !== undefined) throw new Error(`refused: ${reason}`);
  return answer;
}
