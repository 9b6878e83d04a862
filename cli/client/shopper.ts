import { readFileSync } from "node:fs";
import { type Client, createClient } from "@connectrpc/connect";
import { parseIntent } from "#common/intent/codec.ts";
import { newUuidV7 } from "#common/uuid.ts";
import {
  type Checkout,
  CheckoutState,
  CheckoutStateSchema,
  type Item,
  PaymentMethod,
  type Transition,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { Problem } from "../command/problem.ts";
import { keyFiles } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { signIntent } from "./intents.ts";
import type { MeshClient } from "./open-mesh.ts";
import type { Wallet } from "./wallets.ts";

/** What somebody wants to buy. */
export interface Wish {
  readonly wallet: Wallet;
  readonly items: readonly Pick<Item, "sku" | "quantity">[];
  /** One of the simulator's test cards, such as "visa"; undefined pays from the balance. */
  readonly card: string | undefined;
}

/** Buys, as a shop's page does. */
export interface Shopper {
  /**
   * Buys, and tells every step as it is recorded. Returns the checkout once it has come to an end. Rejects with
   * ConnectError, and with a Problem if the card is declined.
   */
  buy(wish: Wish, onStep: (checkout: Checkout, step: Transition) => void): Promise<Checkout>;
}

/** A state's name as the contract has it, without its prefix. */
export function stateName(state: CheckoutState): string {
  return CheckoutStateSchema.value[state]?.localName ?? "UNSPECIFIED";
}

const merchantId = "corner-shop";

/** How long a purchase may take from end to end. */
const buyMs = 30_000;

const ends: readonly CheckoutState[] = [
  CheckoutState.CLEARED,
  CheckoutState.CANCELLED,
  CheckoutState.FAILED,
];

export function openShopper(settings: Settings, mesh: MeshClient): Shopper {
  const client = createClient(CheckoutService, mesh.transport);
  return {
    async buy(wish, onStep) {
      const intentId = newUuidV7();
      const request = {
        intentId,
        wallet: wish.wallet.address,
        merchantId,
        orderId: intentId,
        items: [...wish.items],
        paymentMethod: wish.card === undefined ? PaymentMethod.BALANCE : PaymentMethod.CARD,
      };
      const created = await client.createCheckout(request);
      const steps = follow(client, intentId, onStep);
      try {
        if (wish.card !== undefined) {
          await payBySimulator(settings, mesh.edgeUrl, created.clientSecret, wish.card);
        } else {
          if (created.intent === undefined) throw new Error("CreateCheckout answered no intent");
          const intent = parseIntent(created.intent);
          const walletSignature = signIntent(intent, wish.wallet, mesh.identity);
          await client.createCheckout({ ...request, walletSignature });
        }
        return await steps.end;
      } finally {
        steps.stop();
      }
    },
  };
}

/** Watches a checkout to its end, and tells each of its steps once. */
function follow(
  client: Client<typeof CheckoutService>,
  intentId: string,
  onStep: (checkout: Checkout, step: Transition) => void,
): { readonly end: Promise<Checkout>; stop(): void } {
  const stopped = new AbortController();
  const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(buyMs)]);
  const watch = async () => {
    let told = 0;
    const key = { case: "intentId" as const, value: intentId };
    for await (const { checkout } of client.watchCheckout({ key }, { signal })) {
      if (checkout === undefined) continue;
      for (const step of checkout.transitions.slice(told)) onStep(checkout, step);
      told = checkout.transitions.length;
      if (ends.includes(checkout.state)) return checkout;
    }
    throw new Error(`checkout ${intentId} came to no end`);
  };
  const end = watch();
  // Whoever stops it does not ask how it ended.
  end.catch(() => undefined);
  return { end, stop: () => stopped.abort() };
}

/** Pays by the simulator of Stripe as a browser would: through Envoy. */
async function payBySimulator(
  settings: Settings,
  edgeUrl: string,
  clientSecret: string,
  card: string,
): Promise<void> {
  if (settings.ports.stripeSim === undefined) {
    throw new Problem("cards are paid at Stripe itself here: pay in Studio, with a test card");
  }
  const key = readFileSync(keyFiles(settings).stripe.publishableKey, "utf8").trim();
  const [paymentIntentId] = clientSecret.split("_secret_");
  const edge = `${edgeUrl}/stripe-sim`;
  const response = await fetch(`${edge}/v1/payment_intents/${paymentIntentId}/confirm`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: new URLSearchParams({ client_secret: clientSecret, payment_method: `pm_card_${card}` }),
    signal: AbortSignal.timeout(buyMs),
  });
  const answer = (await response.json()) as {
    readonly status?: string;
    readonly error?: { readonly message?: string };
  };
  if (response.ok && answer.status === "succeeded") return;
  throw new Problem(`the card: ${answer.error?.message ?? `the payment is ${answer.status}`}`);
}
