import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { chartAccounts } from "#common/chart.ts";
import { postingCodes } from "#common/posting-codes.ts";
import {
  type ClearingIntent,
  ClearingIntentSchema,
  Phase,
} from "#gen/sovr/attestor/v1/intent_pb.ts";
import { newUuidV7, walletAccountId } from "../wallet/ids.ts";

/** Everything is paid in dollars here. */
export const usd = 1;

export const merchantId = "sovr-market";

type Good = "MILK" | "EGGS" | "BREAD";

/** What can be bought. CheckoutService will list it; until it exists, the shop knows. */
export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly says: string;
  readonly goods: readonly Good[];
}

/** In cents. */
const prices: Readonly<Record<Good, bigint>> = { MILK: 350n, EGGS: 250n, BREAD: 150n };

export const products: readonly Product[] = [
  { sku: "MILK", name: "Milk", says: "One litre, whole", goods: ["MILK"] },
  { sku: "EGGS", name: "Eggs", says: "Half a dozen", goods: ["EGGS"] },
  { sku: "BREAD", name: "Bread", says: "A loaf of wheat", goods: ["BREAD"] },
  {
    sku: "BUNDLE",
    name: "The bundle",
    says: "Milk, eggs and bread, in one atomic clearing",
    goods: ["MILK", "EGGS", "BREAD"],
  },
];

/** What a product costs, in cents. */
export function priceOf({ goods }: Product): bigint {
  return goods.reduce((sum, good) => sum + prices[good], 0n);
}

/** How long a wallet's word holds. */
const lifetimeMs = 15 * 60_000;

/** The purchase of a product from a wallet's balance, one posting for each good. */
export function purchaseIntent(
  product: Product,
  wallet: string,
  nowMs = Date.now(),
): ClearingIntent {
  const issueMs = Math.floor(nowMs / 1_000) * 1_000;
  return create(ClearingIntentSchema, {
    intentId: newUuidV7(nowMs),
    phase: Phase.IMMEDIATE,
    wallet,
    merchantId,
    reference: `studio ${product.sku}`,
    postings: product.goods.map((good) => ({
      debitAccountId: String(walletAccountId(wallet, usd)),
      creditAccountId: obligationOf(good),
      amount: String(prices[good]),
      ledger: usd,
      code: postingCodes.PURCHASE,
    })),
    issueTime: timestampFromMs(issueMs),
    expireTime: timestampFromMs(issueMs + lifetimeMs),
  });
}

function obligationOf(good: Good): string {
  const account = chartAccounts.find(
    ({ name, ledger }) => name === `${good}_OBLIGATION` && ledger === usd,
  );
  if (account === undefined)
    throw new RangeError(`the chart of accounts has no ${good}_OBLIGATION`);
  return String(account.id);
}
