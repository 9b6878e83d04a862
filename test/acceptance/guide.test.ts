// Goal: every line of the success list of the guide that SOVR Mesh implements (docs/from-the-guide.md), one test for
// each and in its words. Method: a whole mesh on each engine, used through Envoy as a shopper and a merchant use it;
// cards are charged by the simulator of Stripe, and what was signed is judged by ethers.
import { readFileSync } from "node:fs";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { recoverAddress, TypedDataEncoder } from "ethers";
import type { Client } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPool } from "#common/postgres/pool.ts";
import { engineConfig } from "#common/tigerbeetle/engine-config.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { readOnlyClient } from "#common/tigerbeetle/read-only-client.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  CheckoutState,
  CheckoutStateSchema,
  PaymentMethod,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  CheckoutService,
  type CreateCheckoutResponse,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import type { Transfer } from "#gen/sovr/ledger/v1/transfer_pb.ts";
import { usd } from "../../cli/client/intents.ts";
import { recordsEnvironment } from "../../cli/parts/records-environment.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import {
  cards,
  newOrder,
  type Purchase,
  refusal,
  type Shopper,
  ShopWorld,
} from "../support/checkout/shop-world.ts";
import { misbehave } from "../support/eventstream/misbehave.ts";
import { type Subscriber, subscribe, untilStopped } from "../support/eventstream/subscriber.ts";
import { typedIntent } from "../support/intents/typed-intent.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { startMesh } from "../support/mesh/mesh.ts";
import { outputOf, secretsOf, spellings } from "../support/mesh/overheard-output.ts";
import { findSuspects } from "../support/mesh/secret-scan.ts";
import { healthyStatus } from "../support/rpc/healthy-status.ts";

const services = [
  AttestorService,
  CheckoutService,
  ClearingService,
  EventStreamService,
  LedgerService,
];
/** What each good owes, in cents. */
const prices = { milk: 350n, eggs: 250n, bread: 150n } as const;
const obligations = { milk: "4000001", eggs: "4000002", bread: "4000003" } as const;
const stripeSettlement = "3000001";

describeOnEngines("the guide's success list", (engine) => {
  let world: ShopWorld;
  let shopper: Shopper;
  let subscriber: Subscriber;
  /** Whatever was bought, for the tests that look at all of it. */
  const purchases: Purchase[] = [];

  beforeAll(async () => {
    // The most that a mesh can be made to say.
    const mesh = await startMesh({ engine: engine.name, environment: { LOG_LEVEL: "debug" } });
    world = new ShopWorld(mesh);
    subscriber = await subscribe(world.house.events);
    shopper = await world.shopper(5_000n);
  });
  afterAll(async () => {
    await subscriber?.stop();
    await world?.mesh.stop();
  });

  describe("a checkout of the bundle by card", () => {
    const order = newOrder([{ sku: "BUNDLE", quantity: 1 }], PaymentMethod.CARD);
    let created: CreateCheckoutResponse;
    let transfers: Transfer[];

    it("checkout started", async () => {
      created = await world.create(shopper, { ...order, expectedAmount: "750" });
      expect(created.checkout).toMatchObject({
        state: CheckoutState.AWAITING_PAYMENT,
        amount: "750",
        ledger: usd,
        wallet: shopper.wallet.address,
      });
      expect(created.clientSecret).toMatch(/^pi_\w+_secret_\w+$/);
    });

    it("EIP-712 attestation made", async () => {
      const typed = typedIntent(await world.house.attestor.getDomain({}), created.intent);
      // Over the very intent, before anyone is charged; it goes out once the card has paid.
      expect(created.checkout?.purchases).toMatchObject([
        { intentId: order.intentId, digest: TypedDataEncoder.hash(...typed) },
      ]);
      expect(created.attestation).toBeUndefined();
    });

    it("PaymentIntent created", async () => {
      const payment = await world.stripe.paymentIntents.retrieve(created.paymentIntentId);
      expect(payment).toMatchObject({
        amount: 750,
        currency: "usd",
        status: "requires_payment_method",
        metadata: {
          intent_id: order.intentId,
          digest: created.checkout?.purchases[0]?.digest,
          order_id: order.orderId,
        },
      });
    });

    it("transfer recorded", async () => {
      expect(await world.payByCard(created, cards.pays)).toBe("succeeded");
      const cleared = await world.reached(order.intentId, CheckoutState.CLEARED);
      purchases.push({ shopper, order, created, cleared });
      const { clearing } = await world.house.clearing.getClearing({ intentId: order.intentId });
      transfers = await Promise.all(
        (clearing?.transferIds ?? []).map(async (transferId) => {
          const { transfer } = await shopper.ledger.getTransfer({ transferId });
          if (transfer === undefined) throw new Error(`there is no transfer ${transferId}`);
          return transfer;
        }),
      );
      const { balance } = await shopper.ledger.getBalance(accountOf(shopper));
      const account = balance?.accountId ?? "";
      expect(transfers.map(posting)).toEqual([
        [stripeSettlement, account, 750n],
        [account, obligations.milk, prices.milk],
        [account, obligations.eggs, prices.eggs],
        [account, obligations.bread, prices.bread],
      ]);
    });

    it("journal entry there", async () => {
      const { journalEntry } = await shopper.ledger.getJournalEntry({ intentId: order.intentId });
      expect(journalEntry).toMatchObject({
        digest: created.checkout?.purchases[0]?.digest,
        merchantId: order.merchantId,
        reference: order.orderId,
        lines: transfers,
      });
      const { balance } = await shopper.ledger.getBalance(accountOf(shopper));
      const debits = sum(transfers.filter((line) => line.debitAccountId === balance?.accountId));
      const credits = sum(transfers.filter((line) => line.creditAccountId === balance?.accountId));
      expect(debits).toBe(credits);
      await expectBalanced(world);
    });

    it("event delivered", async () => {
      const told = () => subscriber.events.find(({ intentId }) => intentId === order.intentId);
      await expect.poll(told).toMatchObject({
        type: EventType.CLEARED,
        attested: true,
        digest: created.checkout?.purchases[0]?.digest,
        transfers,
      });
    });
  });

  it.each([
    ["milk", "3.50", "card"],
    ["milk", "3.50", "balance"],
    ["eggs", "2.50", "card"],
    ["eggs", "2.50", "balance"],
    ["bread", "1.50", "card"],
    ["bread", "1.50", "balance"],
    ["bundle", "7.50", "card"],
    ["bundle", "7.50", "balance"],
  ] as const)("%s %s clears, by %s", async (product, price, method) => {
    const cents = BigInt(price.replace(".", ""));
    const { products } = await shopper.checkout.listProducts({});
    const sku = product.toUpperCase();
    expect(products.find((one) => one.sku === sku)?.price?.amount).toBe(cents.toString());
    const before = await balancesOf(world, shopper);

    const paymentMethod = method === "card" ? PaymentMethod.CARD : PaymentMethod.BALANCE;
    const purchase = await world.buy(shopper, sku, paymentMethod);
    purchases.push(purchase);
    expect(purchase.cleared).toMatchObject({
      amount: cents.toString(),
      clearedIntentId: purchase.order.intentId,
    });

    const after = await balancesOf(world, shopper);
    const goods =
      product === "bundle" ? (["milk", "eggs", "bread"] as const) : ([product] as const);
    const expected = { ...before };
    for (const good of goods) expected[good] += prices[good];
    if (method === "card") expected.stripe += cents;
    else expected.wallet -= cents;
    expect(after).toEqual(expected);
  });

  it("balances live", async () => {
    const { wallet } = shopper;
    const stop = new AbortController();
    const seen: bigint[] = [];
    const request = { wallets: [wallet.address], ledger: usd };
    const watching = untilStopped(async () => {
      const messages = shopper.events.watchBalances(request, { signal: stop.signal });
      for await (const { balances } of messages) {
        seen.push(...balances.map(({ available }) => BigInt(available)));
      }
    });
    await expect.poll(() => seen.length).toBeGreaterThan(0);
    const [before = 0n] = seen;
    purchases.push(await world.buy(shopper, "MILK", PaymentMethod.BALANCE));
    await expect.poll(() => seen.at(-1)).toBe(before - prices.milk);
    stop.abort();
    await watching;
    const { balance } = await shopper.ledger.getBalance(accountOf(shopper));
    expect(balance?.available).toBe((before - prices.milk).toString());
  });

  it("status live", async () => {
    const order = newOrder([{ sku: "EGGS", quantity: 2 }], PaymentMethod.CARD);
    const created = await world.create(shopper, order);
    const stop = new AbortController();
    const seen: string[] = [];
    const key = { case: "intentId" as const, value: order.intentId };
    const watching = untilStopped(async () => {
      for await (const { checkout } of shopper.checkout.watchCheckout(
        { key },
        { signal: stop.signal },
      )) {
        seen.push(nameOf(checkout?.state));
      }
    });
    await expect.poll(() => seen).toEqual(["AWAITING_PAYMENT"]);
    await world.payByCard(created, cards.pays);
    await expect.poll(() => seen.at(-1)).toBe("CLEARED");
    stop.abort();
    await watching;
    const cleared = await world.reached(order.intentId, CheckoutState.CLEARED);
    purchases.push({ shopper, order, created, cleared });
    expect(cleared.transitions.map(({ toState }) => nameOf(toState))).toEqual([
      "CREATED",
      "AWAITING_PAYMENT",
      "PAID",
      "CLEARED",
    ]);

    const { parts } = JSON.parse(await healthyStatus(world.mesh)) as {
      readonly parts: readonly { readonly name: string; readonly healthy: boolean }[];
    };
    expect(parts.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["ledger", "clearing", "attestor", "eventstream", "checkout"]),
    );
    expect(parts.filter(({ healthy }) => !healthy)).toEqual([]);
  });

  it("no balance mutation", async () => {
    // Whatever an account says is the sum of the transfers, and nothing else can move it.
    const transfers = await allTransfers(world);
    const { accounts } = await world.house.ledger.listAccounts({ pageSize: 1_000 });
    const { balances } = await world.house.ledger.batchGetBalances({
      accountIds: accounts.map(({ accountId }) => accountId),
    });
    expect(balances.length).toBeGreaterThan(10);
    for (const { accountId, debitsPosted, creditsPosted } of balances) {
      const debits = transfers.filter(({ debitAccountId }) => debitAccountId === accountId);
      const credits = transfers.filter(({ creditAccountId }) => creditAccountId === accountId);
      expect([accountId, debitsPosted, creditsPosted]).toEqual([
        accountId,
        sum(debits).toString(),
        sum(credits).toString(),
      ]);
    }
    // No RPC has a balance in its request, and no service a table or a right to keep one.
    const requests = services.flatMap(({ methods }) => methods.map(({ input }) => input));
    const fields = requests.flatMap((input) => input.fields.map(({ name }) => name));
    expect(fields.filter((name) => /balance|posted|pending_(in|out)|available/.test(name))).toEqual(
      [],
    );
    expect(await storedBalances(world)).toEqual([]);
  });

  it("all final", async () => {
    const before = await allTransfers(world);
    for (const { shopper: buyer, order, cleared } of purchases) {
      const again = await world.create(buyer, order);
      expect(again.checkout).toEqual(cleared);
      const { clearing } = await world.house.clearing.clear({
        ...(again.intent === undefined ? {} : { intent: again.intent }),
        ...(again.attestation === undefined ? {} : { attestation: again.attestation }),
      });
      expect(clearing).toMatchObject({ replayed: true, commitTime: cleared.commitTime });
    }
    expect(await allTransfers(world)).toEqual(before);
    // There is nothing that one could call to change or delete what was cleared, nor a right to do it to the records.
    const undoing = /^(Update|Delete|Remove|Set|Edit|Patch|Undo|Revert|Purge|Reset)/;
    const methods = services.flatMap((service) => service.methods.map(({ name }) => name));
    expect(methods.filter((name) => undoing.test(name))).toEqual([]);
    expect(await rightsToRewrite(world)).toEqual([]);
    expect(subscriber.complaints()).toEqual([]);
  });

  it("attestation required for all", async () => {
    const { attestor, clearing } = world.house;
    const domain = await attestor.getDomain({});
    const signers = domain.signers.map(({ address }) => address);
    for (const { shopper: buyer, order } of purchases) {
      const { intent, attestation } = await world.create(buyer, order);
      const digest = TypedDataEncoder.hash(...typedIntent(domain, intent));
      expect(attestation?.digest).toBe(digest);
      expect(signers).toContain(recoverAddress(digest, attestation?.signature ?? ""));
    }

    const before = await allTransfers(world);
    const order = newOrder([{ sku: "BREAD", quantity: 1 }], PaymentMethod.BALANCE);
    const { intent } = await world.create(shopper, order);
    if (intent === undefined) throw new Error("there is no intent");
    const typed = typedIntent(domain, intent);
    const walletSignature = await shopper.wallet.signTypedData(...typed);
    const { attestation } = await attestor.attest({ intent, walletSignature });
    if (attestation === undefined) throw new Error("there is no attestation");
    const forged = { ...attestation, signature: walletSignature };
    const stranger = { ...forged, signer: shopper.wallet.address };
    const cheaper = intent.postings.map((each) => ({ ...each, amount: "1" }));
    const tampered = { ...intent, postings: cheaper };
    expect(await refusal(clearing.clear({ intent }))).toBe("INVALID_FIELD");
    expect(await refusal(clearing.clear({ intent, attestation: forged }))).toBe(
      "ATTESTATION_INVALID",
    );
    expect(await refusal(clearing.clear({ intent, attestation: stranger }))).toBe(
      "SIGNER_NOT_TRUSTED",
    );
    expect(await refusal(clearing.clear({ intent: tampered, attestation }))).toBe(
      "ATTESTATION_INVALID",
    );
    expect(await allTransfers(world)).toEqual(before);

    const audit = await world.mesh.run("audit", "--json");
    expect(audit.code).toBe(0);
    const { summary } = JSON.parse(audit.stdout.trimEnd().split("\n").at(-1) ?? "");
    expect(summary).toMatchObject({ transfers: before.length, findingCount: 0 });
    const moved = subscriber.events.filter(({ transfers }) => transfers.length > 0);
    expect(moved.filter(({ attested }) => !attested)).toEqual([]);
  });

  it("Ledger read-only", async () => {
    const levels = LedgerService.methods.map(({ idempotency }) => idempotency);
    expect(new Set(levels)).toEqual(new Set([MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS]));
    // The guide's Oracle Ledger had POST /api/journal.
    for (const [path, status] of [
      ["/sovr.ledger.v1.LedgerService/CreateJournalEntry", 501],
      ["/api/journal", 404],
    ] as const) {
      const response = await fetch(`http://${world.mesh.address}${path}`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${await world.mesh.token()}`,
          "content-type": "application/json",
        },
        body: "{}",
      });
      expect([path, response.status]).toEqual([path, status]);
    }
    // What it holds of TigerBeetle is this, and this has no writes even for who ignores its type.
    const { settings, identity } = world.mesh;
    const config = engineConfig(recordsEnvironment(settings, identity, keyFiles(settings)));
    const reader = readOnlyClient(await openClient(config));
    try {
      expect((reader as unknown as Client).createTransfers).toBeUndefined();
      expect((reader as unknown as Client).createAccounts).toBeUndefined();
      expect(await reader.lookupAccounts([4_000_001n])).toHaveLength(1);
    } finally {
      reader.destroy();
    }
  });

  it("no key, secret or card detail in logs or errors", async () => {
    await misbehave(world, shopper);
    // Envoy writes its log when it has a lot, or ends.
    await subscriber.stop();
    await fetch(`http://${world.mesh.address}/the-last-call`);
    world.mesh.kill("envoy", "SIGTERM");
    const said = async () => [...(await outputOf(world.mesh)).values()].join("\n");
    await expect.poll(said).toContain("/the-last-call");
    const output = await outputOf(world.mesh);
    output.set("errors", world.overheard.errors.join("\n"));
    expect(output.size).toBeGreaterThan(14);
    expect(world.overheard.errors.length).toBeGreaterThan(8);
    const secrets = [
      ...secretsOf(world.mesh),
      ...[...world.overheard.secrets].map((secret) => [`${secret.slice(0, 8)}…`, secret] as const),
      ...Object.entries(cards).flatMap(([name, card]) =>
        spellings(card).map((spelling) => [`the card that ${name}`, spelling] as const),
      ),
    ];
    const leaks = [...output].flatMap(([where, text]) => [
      ...secrets.filter(([, secret]) => text.includes(secret)).map(([what]) => ({ where, what })),
      // Digests, signatures and ids of spans look like 32 bytes of a key.
      ...findSuspects(text)
        .filter(({ shape }) => shape !== "32 bytes as hex")
        .map((suspect) => ({ where, ...suspect })),
    ]);
    expect(leaks).toEqual([]);
  });
});

function nameOf(state: CheckoutState | undefined): string {
  return CheckoutStateSchema.value[state ?? 0]?.localName ?? "";
}

function accountOf({ wallet }: Shopper) {
  return { wallet: wallet.address, ledger: usd };
}

function posting({ debitAccountId, creditAccountId, amount }: Transfer) {
  return [debitAccountId, creditAccountId, BigInt(amount)];
}

function sum(transfers: readonly Transfer[]): bigint {
  return transfers.reduce((total, { amount }) => total + BigInt(amount), 0n);
}

/** On each account's normal side, in cents. */
async function balancesOf(world: ShopWorld, { wallet }: Shopper) {
  const posted = async (key: { accountId: string } | { wallet: string; ledger: number }) => {
    const { balance } = await world.house.ledger.getBalance(key);
    return BigInt(balance?.posted ?? "0");
  };
  const [mine, milk, eggs, bread, stripe] = await Promise.all([
    posted({ wallet: wallet.address, ledger: usd }),
    posted({ accountId: obligations.milk }),
    posted({ accountId: obligations.eggs }),
    posted({ accountId: obligations.bread }),
    posted({ accountId: stripeSettlement }),
  ]);
  return { wallet: mine, milk, eggs, bread, stripe };
}

async function allTransfers(world: ShopWorld): Promise<Transfer[]> {
  const { transfers, nextPageToken } = await world.house.ledger.listTransfers({ pageSize: 1_000 });
  expect(nextPageToken).toBe("");
  return transfers;
}

async function expectBalanced(world: ShopWorld): Promise<void> {
  const trial = await world.house.ledger.getTrialBalance({ ledger: usd });
  expect(trial.debitsPosted).toBe(trial.creditsPosted);
  expect(trial.debitsPending).toBe(trial.creditsPending);
}

async function inRecords<Row extends object>(world: ShopWorld, query: string): Promise<Row[]> {
  const { databaseUrl } = keyFiles(world.mesh.settings);
  const pool = createPool({
    databaseUrl: readFileSync(databaseUrl, "utf8"),
    applicationName: "acceptance",
  });
  try {
    return (await pool.query<Row>(query)).rows;
  } finally {
    await pool.end();
  }
}

/** Columns of PostgreSQL that could hold a balance. */
function storedBalances(world: ShopWorld) {
  return inRecords(
    world,
    `select table_name, column_name from information_schema.columns
     where table_schema = 'public' and column_name ~ 'balance|posted|available'`,
  );
}

/** Rights of the services' roles to change or delete what was attested or cleared. */
function rightsToRewrite(world: ShopWorld) {
  return inRecords(
    world,
    `select role, record, privilege
     from unnest(array['sovr_clearing', 'sovr_attestor', 'sovr_checkout']) as role,
       unnest(array['evidence', 'clearing_failure', 'attestation_intent', 'attestation_signature']) as record,
       unnest(array['update', 'delete', 'truncate']) as privilege
     where has_table_privilege(role, record, privilege)`,
  );
}
