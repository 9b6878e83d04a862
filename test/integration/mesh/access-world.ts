import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { formatIntent } from "#common/intent/codec.ts";
import { transferId } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { type RoleName, roles } from "#common/roles.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService, type ClearRequest } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { fundingIntent, signIntent, transferIntent, usd } from "../../../cli/client/intents.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

export type ViewerName =
  | "none"
  | "shopper"
  | "other shopper"
  | "recipient"
  | "merchant"
  | "other merchant"
  | "support"
  | "treasurer"
  | "approver"
  | "operator";

/** Somebody who calls, through Envoy. */
export interface Viewer {
  readonly name: ViewerName;
  /** Undefined: he carries no token. */
  readonly role: RoleName | undefined;
  readonly transport: Transport;
}

/** What somebody may know of the world, and by what text one would see that it was told. */
export interface Secret {
  readonly what: string;
  readonly text: string;
  /** Those who are bound and may know it. Whoever is not bound may know everything. */
  readonly knownTo: readonly ViewerName[];
}

/** One intent of a shopper's that pays two, in a merchant's name, and an order of the shopper's at that merchant. */
export interface AccessWorld {
  readonly viewers: readonly Viewer[];
  readonly payment: ClearRequest;
  readonly intentId: string;
  /** Of the one who is paid beside the recipient, and is nobody's viewer. */
  readonly hidden: { readonly wallet: string; readonly accountId: string };
  readonly recipientAccountId: string;
  /** The wallet of the other shopper, who has nothing to do with any of it. */
  readonly stranger: string;
  readonly merchantId: string;
  /** Of the legs: the recipient's, and the hidden one's. */
  readonly transferIds: readonly [string, string];
  readonly order: { readonly intentId: string; readonly orderId: string };
  readonly secrets: readonly Secret[];
}

export async function openAccessWorld(mesh: TestMesh): Promise<AccessWorld> {
  const house = mesh.client();
  const clearing = createClient(ClearingService, house.transport);
  const [payer, recipient, hidden, stranger] = [1, 2, 3, 4].map(() => mesh.wallet());
  if (!payer || !recipient || !hidden || !stranger) throw new Error("four wallets are needed");
  for (const { address } of [payer, recipient, hidden, stranger]) {
    await clearing.openWallet({ wallet: address, ledger: usd });
  }
  const unique = newUuidV7().slice(-12);
  const merchantId = `market-${unique}`;
  await clear(mesh, clearing, undefined, fundingIntent(5_000n, payer.address));
  const [toRecipient, toHidden] = [recipient, hidden].map(({ address }) =>
    transferIntent(11n, { from: payer.address, to: address }),
  );
  if (!toRecipient || !toHidden) throw new Error("two legs are needed");
  const intent = {
    ...toRecipient,
    merchantId,
    reference: `salary ${unique}`,
    postings: [...toRecipient.postings, ...toHidden.postings],
  };
  const payment = await clear(mesh, clearing, payer, intent);
  const order = { intentId: newUuidV7(), orderId: `order ${unique}` };
  const viewers = viewersOf(mesh, { payer, recipient, stranger, merchantId });
  const shopper = viewers.find(({ name }) => name === "shopper")?.transport;
  if (shopper === undefined) throw new Error("there is no shopper");
  await createClient(CheckoutService, shopper).createCheckout({
    ...order,
    wallet: payer.address,
    merchantId,
    items: [{ sku: "MILK", quantity: 1 }],
    paymentMethod: PaymentMethod.BALANCE,
  });
  const { intentId } = intent;
  const transferIds = [String(transferId(intentId, 0)), String(transferId(intentId, 1))] as const;
  const accountOf = ({ address }: Wallet) => String(walletAccountId(address, usd));
  const { digest = "", walletSignature = "" } = payment.attestation ?? {};
  const all = ["shopper", "merchant"] as const;
  const secrets: readonly Secret[] = [
    { what: "the intent's id", text: intentId, knownTo: [...all, "recipient"] },
    { what: "the digest", text: digest, knownTo: [...all, "recipient"] },
    { what: "the recipient's leg", text: transferIds[0], knownTo: [...all, "recipient"] },
    { what: "the recipient's account", text: accountOf(recipient), knownTo: [...all, "recipient"] },
    { what: "the payer", text: payer.address, knownTo: [...all, "recipient"] },
    { what: "the hidden leg", text: transferIds[1], knownTo: all },
    { what: "the hidden account", text: accountOf(hidden), knownTo: all },
    { what: "the hidden wallet", text: hidden.address, knownTo: [] },
    { what: "the reference", text: intent.reference, knownTo: all },
    { what: "the merchant", text: merchantId, knownTo: all },
    { what: "the payer's signature", text: walletSignature, knownTo: ["shopper"] },
    { what: "the order", text: order.orderId, knownTo: all },
    { what: "the order's intent", text: order.intentId, knownTo: all },
  ];
  return {
    viewers,
    payment,
    intentId,
    hidden: { wallet: hidden.address, accountId: accountOf(hidden) },
    recipientAccountId: accountOf(recipient),
    stranger: stranger.address,
    merchantId,
    transferIds,
    order,
    secrets,
  };
}

interface People {
  readonly payer: Wallet;
  readonly recipient: Wallet;
  readonly stranger: Wallet;
  readonly merchantId: string;
}

function viewersOf(mesh: TestMesh, people: People): Viewer[] {
  const { payer, recipient, stranger, merchantId } = people;
  const bound = (name: ViewerName, to: { wallet: string } | { merchant: string }): Viewer => ({
    name,
    role: "wallet" in to ? "shopper" : "merchant",
    transport: mesh.client(to).transport,
  });
  const staff = (["support", "treasurer", "approver", "operator"] as const).map((role) => ({
    name: role,
    role,
    transport: mesh.client({ scopes: roles[role].scopes }).transport,
  }));
  const bare = createConnectTransport({ baseUrl: `http://${mesh.address}`, httpVersion: "1.1" });
  return [
    { name: "none", role: undefined, transport: bare },
    bound("shopper", { wallet: payer.address }),
    bound("other shopper", { wallet: stranger.address }),
    bound("recipient", { wallet: recipient.address }),
    bound("merchant", { merchant: merchantId }),
    bound("other merchant", { merchant: `not ${merchantId}` }),
    ...staff,
  ];
}

async function clear(
  mesh: TestMesh,
  clearing: Client<typeof ClearingService>,
  signer: Wallet | undefined,
  intent: ReturnType<typeof fundingIntent>,
): Promise<ClearRequest> {
  const { transport, identity } = mesh.client();
  const walletSignature = signer === undefined ? "" : signIntent(intent, signer, identity);
  const proto = formatIntent(intent);
  const attestor = createClient(AttestorService, transport);
  const { attestation } = await attestor.attest({ intent: proto, walletSignature });
  if (attestation === undefined) throw new Error("Attest answered no attestation");
  const request = { intent: proto, attestation };
  await clearing.clear(request);
  return request as ClearRequest;
}
