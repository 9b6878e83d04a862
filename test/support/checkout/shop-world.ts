import { readFileSync } from "node:fs";
import { type Client, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type HDNodeWallet, Wallet } from "ethers";
import type { Stripe } from "stripe";
import { reasonOf } from "#common/rpc/errors.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  type Checkout,
  CheckoutState,
  CheckoutStateSchema,
  type PaymentMethod,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  CheckoutService,
  type CreateCheckoutResponse,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { clearIntent } from "../../../cli/client/clear-intent.ts";
import { errorJson } from "../../../cli/client/errors.ts";
import { fundingIntent, usd } from "../../../cli/client/intents.ts";
import type { TokenRequest } from "../../../cli/client/token.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import { typedIntent } from "../intents/typed-intent.ts";
import type { TestMesh } from "../mesh/mesh.ts";
import { createStripe } from "../stripe/calls.ts";

/** What the tests know that nobody else may say, and all that was said to them. */
export interface Overheard {
  /** Secrets that only tests and the parts that need them know. */
  readonly secrets: Set<string>;
  /** Every error as a caller got it: text and details. */
  readonly errors: string[];
}

/** Clients of all services, through Envoy, with one credential. */
export interface Clients {
  readonly attestor: Client<typeof AttestorService>;
  readonly checkout: Client<typeof CheckoutService>;
  readonly clearing: Client<typeof ClearingService>;
  readonly events: Client<typeof EventStreamService>;
  readonly ledger: Client<typeof LedgerService>;
}

/** What is asked for, without whose wallet pays. */
export interface ShopOrder {
  readonly intentId: string;
  readonly merchantId: string;
  readonly orderId: string;
  readonly items: { readonly sku: string; readonly quantity: number }[];
  readonly paymentMethod: PaymentMethod;
  /** Cents. */
  readonly expectedAmount?: string;
  readonly walletSignature?: string;
}

/** Somebody with a wallet, whose credential is bound to it. */
export interface Shopper extends Clients {
  readonly wallet: HDNodeWallet;
}

/** An order that was paid and cleared. */
export interface Purchase {
  readonly shopper: Shopper;
  readonly order: ShopOrder;
  /** As it was before it was paid. */
  readonly created: CreateCheckoutResponse;
  readonly cleared: Checkout;
}

/** As published by Stripe. */
export const cards = { pays: "4242424242424242", declines: "4000000000009995" } as const;

const shopperScopes = ["ledger.read", "events.read", "checkout.buy"];
const waitMs = 60_000;

/** A mesh as shoppers and their merchant meet it: everything through Envoy, Stripe being the simulator. */
export class ShopWorld {
  readonly mesh: TestMesh;
  readonly overheard: Overheard = { secrets: new Set(), errors: [] };
  /** The merchant and operator: all scopes. */
  readonly house: Clients;
  /** Stripe's own SDK with the secret key of this mesh: what its dashboard shows. */
  readonly stripe: Stripe;

  constructor(mesh: TestMesh) {
    this.mesh = mesh;
    this.house = this.clients({});
    const { stripe } = keyFiles(mesh.settings);
    this.stripe = createStripe(this.simulator, { key: readFileSync(stripe.secretKey, "utf8") });
  }

  /** The simulator's own port, as its operator reaches it. */
  get simulator(): string {
    const { host, ports } = this.mesh.settings;
    return `http://${host}:${ports.stripeSim}`;
  }

  clients(request: TokenRequest): Clients {
    const transport = createGrpcTransport({
      baseUrl: `http://${this.mesh.address}`,
      interceptors: [this.#listen(request)],
    });
    return {
      attestor: createClient(AttestorService, transport),
      checkout: createClient(CheckoutService, transport),
      clearing: createClient(ClearingService, transport),
      events: createClient(EventStreamService, transport),
      ledger: createClient(LedgerService, transport),
    };
  }

  /** A shopper with an account that holds so many cents. */
  async shopper(cents = 0n): Promise<Shopper> {
    const wallet = Wallet.createRandom();
    this.overheard.secrets.add(wallet.privateKey.slice(2));
    await this.house.clearing.openWallet({ wallet: wallet.address, ledger: usd });
    if (cents > 0n) await clearIntent(this.mesh.client(), fundingIntent(cents, wallet.address));
    return { wallet, ...this.clients({ scopes: shopperScopes, wallet: wallet.address }) };
  }

  /** Asks for a checkout. Asked again it is the same one. */
  async create(shopper: Shopper, order: ShopOrder) {
    const created = await shopper.checkout.createCheckout({
      ...order,
      wallet: shopper.wallet.address,
    });
    if (created.clientSecret !== "") this.overheard.secrets.add(created.clientSecret);
    return created;
  }

  /** Pays as Studio's page does: the card goes to Stripe and nowhere else. Gives the status, or the error's code. */
  async payByCard({ clientSecret }: CreateCheckoutResponse, card: string): Promise<string> {
    const [id = ""] = clientSecret.split("_secret_");
    const method = await this.callStripe("/v1/payment_methods", {
      type: "card",
      "card[number]": card,
      "card[exp_month]": "12",
      "card[exp_year]": String(new Date().getFullYear() + 1),
      "card[cvc]": "123",
    });
    const paid = await this.callStripe(`/v1/payment_intents/${id}/confirm`, {
      client_secret: clientSecret,
      payment_method: method.id ?? "",
    });
    return paid.error?.code ?? paid.status ?? "";
  }

  /** What a browser says to Stripe: with the publishable key, through Envoy. */
  async callStripe(path: string, form: Readonly<Record<string, string>>) {
    const { stripe } = keyFiles(this.mesh.settings);
    const response = await fetch(`http://${this.mesh.address}/stripe-sim${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${readFileSync(stripe.publishableKey, "utf8")}` },
      body: new URLSearchParams(form),
    });
    const answer = (await response.json()) as {
      readonly id?: string;
      readonly status?: string;
      readonly error?: { readonly code?: string; readonly payment_intent?: object };
    };
    // Stripe gives who pays the payment with its secret, which they had before.
    const { payment_intent: _, ...error } = answer.error ?? {};
    if (answer.error !== undefined) this.overheard.errors.push(JSON.stringify(error));
    return answer;
  }

  /** The wallet signs what it was asked to, as MetaMask does. */
  async payByBalance(
    shopper: Shopper,
    order: ShopOrder,
    { intent }: CreateCheckoutResponse,
  ): Promise<void> {
    const typed = typedIntent(await this.house.attestor.getDomain({}), intent);
    const walletSignature = await shopper.wallet.signTypedData(...typed);
    await this.create(shopper, { ...order, walletSignature });
  }

  /** The checkout once it is in a state. Fails if it never is. */
  async reached(intentId: string, state: CheckoutState): Promise<Checkout> {
    const key = { case: "intentId" as const, value: intentId };
    const watching = this.house.checkout.watchCheckout({ key }, { timeoutMs: waitMs });
    for await (const { checkout } of watching) if (checkout?.state === state) return checkout;
    throw new Error(`the checkout never was ${CheckoutStateSchema.value[state]?.name}`);
  }

  /** Buys and waits until the ledger has it. */
  async buy(shopper: Shopper, sku: string, paymentMethod: PaymentMethod): Promise<Purchase> {
    const order = newOrder([{ sku, quantity: 1 }], paymentMethod);
    const created = await this.create(shopper, order);
    if (created.clientSecret === "") await this.payByBalance(shopper, order, created);
    else await this.payByCard(created, cards.pays);
    const cleared = await this.reached(order.intentId, CheckoutState.CLEARED);
    return { shopper, order, created, cleared };
  }

  /** Sets the token, and remembers it and every error. */
  #listen(request: TokenRequest): Interceptor {
    const { secrets, errors } = this.overheard;
    const hear = (error: unknown) =>
      void errors.push(JSON.stringify(errorJson(ConnectError.from(error))));
    return (next) => async (call) => {
      const token = await this.mesh.token(request);
      secrets.add(token);
      call.header.set("authorization", `Bearer ${token}`);
      try {
        return await next(call);
      } catch (error) {
        hear(error);
        throw error;
      }
    };
  }
}

/** A request to buy, new in every id. */
export function newOrder(
  items: readonly { readonly sku: string; readonly quantity: number }[],
  paymentMethod: PaymentMethod,
): ShopOrder {
  return {
    intentId: newUuidV7(),
    merchantId: "corner-shop",
    orderId: `order ${newUuidV7()}`,
    items: [...items],
    paymentMethod,
  };
}

/** The reason for which a call is refused; undefined if it is not. */
export async function refusal(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
  } catch (error) {
    return reasonOf(ConnectError.from(error));
  }
  return undefined;
}
