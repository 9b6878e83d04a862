import { readFileSync } from "node:fs";
import { ConnectError, createClient } from "@connectrpc/connect";
import { beforeAll, expect, it } from "vitest";
import { formatIntent } from "#common/intent/codec.ts";
import { intentDigester, intentDomain } from "#common/intent/digest.ts";
import type { Intent } from "#common/intent/intent.ts";
import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { clearIntent } from "../../../cli/client/clear-intent.ts";
import { errorReason } from "../../../cli/client/errors.ts";
import { fundingIntent, purchaseIntent, signIntent, usd } from "../../../cli/client/intents.ts";
import type { Wallet } from "../../../cli/client/wallets.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { readHoldings } from "../../support/abuse/holdings.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

/** Two shoppers, both with money. */
interface World {
  readonly mesh: TestMesh;
  readonly victim: Wallet;
  readonly thief: Wallet;
}

/** Tests that an id taken by one says nothing to, and takes nothing from, another; and that nobody chooses his time. */
export function testIdsAndDates(meshOf: () => TestMesh): void {
  let world: World;

  beforeAll(async () => {
    const mesh = meshOf();
    const [victim, thief] = [mesh.wallet(), mesh.wallet()];
    const client = mesh.client();
    const clearing = createClient(ClearingService, client.transport);
    for (const { address } of [victim, thief]) {
      await clearing.openWallet({ wallet: address, ledger: usd });
      await clearIntent(client, fundingIntent(2_000n, address));
    }
    world = { mesh, victim, thief };
  });

  it("an intent's id that somebody has is his: another's under it is refused, his own answered as before", async () => {
    const { victim, thief } = world;
    const own = purchaseIntent("milk", victim.address);
    const first = await attest(world, victim, own);
    const squat = { ...purchaseIntent("eggs", thief.address), intentId: own.intentId };
    expect(await reasonOf(attest(world, thief, squat))).toBe("INTENT_ID_REUSED");
    expect(await attest(world, victim, own)).toEqual(first);
    const clearing = createClient(ClearingService, world.mesh.client().transport);
    const request = { intent: formatIntent(own), attestation: first };
    const { clearing: cleared } = await clearing.clear(request);
    expect(await reasonOf(attest(world, thief, squat))).toBe("INTENT_ID_REUSED");
    expect((await clearing.clear(request)).clearing).toEqual({ ...cleared, replayed: true });
    const foreign = { intent: formatIntent(squat), attestation: first };
    expect(await reasonOf(clearing.clear(foreign))).toBe("ATTESTATION_INVALID");
  });

  it("an order's id is its wallet's: another's, and the merchant's own, stand beside it", async () => {
    const { mesh, victim, thief } = world;
    const order = { merchantId: "market-ids", orderId: newUuidV7() };
    const made = await buy(mesh, thief, order);
    const second = await buy(mesh, victim, order);
    expect(second.checkout?.intentId).not.toBe(made.checkout?.intentId);
    const key = { key: { case: "order" as const, value: order } };
    for (const [wallet, { checkout }] of [
      [victim, second],
      [thief, made],
    ] as const) {
      const client = createClient(
        CheckoutService,
        mesh.client({ wallet: wallet.address }).transport,
      );
      expect((await client.getCheckout(key)).checkout?.intentId).toBe(checkout?.intentId);
    }
    // Whoever asks for all is told that there are several, and takes neither for the other.
    const all = createClient(CheckoutService, mesh.client().transport);
    expect(await reasonOf(all.getCheckout(key))).toBe("INVALID_FIELD");
  });

  it("a checkout's id that somebody has is refused to another without a word of it", async () => {
    const { mesh, victim, thief } = world;
    const order = { merchantId: "market-ids", orderId: newUuidV7() };
    const { checkout } = await buy(mesh, victim, order);
    const { intentId = "" } = checkout ?? {};
    const error = await buy(mesh, thief, { ...order, intentId }).catch((thrown: unknown) => thrown);
    const refused = ConnectError.from(error);
    expect(errorReason(refused)).toBe("INTENT_ID_REUSED");
    expect(refused.message).not.toContain(order.orderId);
    expect(refused.message).not.toContain(victim.address);
  });

  const minutes = 60n;
  const dates: readonly (readonly [string, bigint, bigint, string])[] = [
    ["six minutes ago", -6n * minutes, 3_600n, "INVALID_FIELD"],
    ["a year ago, and good until tomorrow", -365n * 86_400n, 366n * 86_400n, "INVALID_FIELD"],
    ["a day ago, and over", -86_400n, 3_600n, "INTENT_EXPIRED"],
    ["in six minutes", 6n * minutes, 3_600n, "INTENT_NOT_YET_VALID"],
    ["now, and good for two days", 0n, 2n * 86_400n, "INVALID_FIELD"],
    ["now, and over before", 0n, -1n, "INVALID_FIELD"],
    ["in 1970", -1n * BigInt(Math.floor(Date.now() / 1_000)), 3_600n, "INTENT_EXPIRED"],
  ];
  it.each(dates)("an intent issued %s is not attested", async (_when, from, lasts, reason) => {
    const { thief } = world;
    const before = await readHoldings(world.mesh);
    expect(await reasonOf(attest(world, thief, dated(thief, from, lasts)))).toBe(reason);
    expect(await readHoldings(world.mesh)).toEqual(before);
  });

  it.each([
    ["an hour ago", -3_000n, "SIGNER_NOT_TRUSTED"],
    ["before its key was there", -30n * 86_400n, "SIGNER_NOT_TRUSTED"],
    ["tomorrow", 86_400n, "INTENT_NOT_YET_VALID"],
  ] as const)(
    "the Attestor's own key, in a thief's hands, clears nothing issued %s",
    async (_when, from, reason) => {
      const { mesh, thief } = world;
      const before = await readHoldings(mesh);
      const intent = dated(thief, from, 3_600n);
      const clearing = createClient(ClearingService, mesh.client().transport);
      const request = { intent: formatIntent(intent), attestation: stolen(world, intent, thief) };
      expect(await reasonOf(clearing.clear(request))).toBe(reason);
      expect(await readHoldings(mesh)).toEqual(before);
    },
  );

  it("the Attestor's own key and a shopper's session together move nothing of the house", async () => {
    const { mesh, thief } = world;
    const before = await readHoldings(mesh);
    const intent = fundingIntent(1_000_000n, thief.address);
    const clearing = createClient(
      ClearingService,
      mesh.client({ wallet: thief.address }).transport,
    );
    const request = { intent: formatIntent(intent), attestation: stolen(world, intent) };
    expect(await reasonOf(clearing.clear(request))).toBe("SCOPE_MISSING");
    expect(await readHoldings(mesh)).toEqual(before);
  });
}

/** The thief's own milk, issued and lasting so many seconds from now. */
function dated({ address }: Wallet, from: bigint, lasts: bigint): Intent {
  const intent = purchaseIntent("milk", address);
  const issueTime = intent.issueTime + from;
  return { ...intent, issueTime, expireTime: issueTime + lasts };
}

async function attest({ mesh }: World, wallet: Wallet, intent: Intent) {
  const { transport } = mesh.client({ wallet: wallet.address });
  const walletSignature = signIntent(intent, wallet, mesh.identity);
  const request = { intent: formatIntent(intent), walletSignature };
  const { attestation } = await createClient(AttestorService, transport).attest(request);
  if (attestation === undefined) throw new Error("Attest answered no attestation");
  return attestation;
}

/** An attestation that a thief of the key makes himself. */
function stolen({ mesh }: World, intent: Intent, wallet?: Wallet) {
  const { settings, identity } = mesh;
  const text = readFileSync(keyFiles(settings).attestor, "utf8").trim();
  const key = Buffer.from(text.replace(/^0x/, ""), "hex");
  const domain = intentDomain({
    environment: identity.environment,
    clusterId: BigInt(identity.clusterId),
    chainId: BigInt(identity.chainId),
    verifyingContract: identity.verifyingContract,
  });
  const digest = intentDigester(domain)(intent);
  return {
    digest,
    signature: signDigest(digest, key),
    signer: addressOfPrivateKey(key),
    walletSignature: wallet === undefined ? "" : signIntent(intent, wallet, identity),
  };
}

function buy(
  mesh: TestMesh,
  { address }: Wallet,
  order: { readonly merchantId: string; readonly orderId: string; readonly intentId?: string },
) {
  const client = createClient(CheckoutService, mesh.client({ wallet: address }).transport);
  return client.createCheckout({
    intentId: newUuidV7(),
    ...order,
    wallet: address,
    items: [{ sku: "MILK", quantity: 1 }],
    paymentMethod: PaymentMethod.BALANCE,
  });
}

/** Why a call was refused; "answered" if it was not. */
async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "answered";
  } catch (error) {
    return errorReason(ConnectError.from(error)) ?? String(error);
  }
}
