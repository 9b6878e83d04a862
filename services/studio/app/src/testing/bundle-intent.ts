import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { chartAccounts } from "#common/ledger/chart.ts";
import {
  type ClearingIntent,
  ClearingIntentSchema,
  Phase,
} from "#gen/sovr/attestor/v1/intent_pb.ts";
import { usd } from "../currency.ts";
import { merchantId } from "../goods/products.ts";
import { newUuidV7, walletAccountId } from "../wallet/ids.ts";

// For tests: what Checkout proposes for the bundle.

const goods = { MILK: 350n, EGGS: 250n, BREAD: 150n };

export interface BundleOrder {
  readonly wallet: string;
  readonly intentId?: string;
  readonly orderId?: string;
}

/** The purchase of the bundle from a wallet's balance, one posting for each good. */
export function bundleIntent({
  wallet,
  intentId = newUuidV7(),
  orderId = "studio-1",
}: BundleOrder): ClearingIntent {
  const issueMs = Math.floor(Date.now() / 1_000) * 1_000;
  return create(ClearingIntentSchema, {
    intentId,
    phase: Phase.IMMEDIATE,
    wallet,
    merchantId,
    reference: orderId,
    postings: Object.entries(goods).map(([good, amount]) => ({
      debitAccountId: String(walletAccountId(wallet, usd)),
      creditAccountId: String(
        chartAccounts.find(({ name, ledger }) => name === `${good}_OBLIGATION` && ledger === usd)
          ?.id,
      ),
      amount: String(amount),
      ledger: usd,
      code: postingCodes.PURCHASE,
    })),
    issueTime: timestampFromMs(issueMs),
    expireTime: timestampFromMs(issueMs + 900_000),
  });
}
