import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CreditCard, ScrollText, Wallet } from "lucide-react";
import { type Checkout, CheckoutState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { declineInWords } from "../card/decline-words.ts";
import { itemsInWords } from "../goods/products.ts";
import { StateChip } from "../purchase/state-chip.tsx";
import { Money } from "../shell/money.tsx";
import { hrefs } from "../shell/route.ts";
import { dayAndTime } from "../shell/time.ts";
import classes from "./row.module.css";

interface OrderRowProps {
  readonly checkout: Checkout;
  readonly products: readonly Product[];
}

/** One order: what it is, how it stands, and the way to its journal entry. */
export function OrderRow({ checkout, products }: OrderRowProps) {
  const byCard = checkout.paymentMethod === PaymentMethod.CARD;
  const Method = byCard ? CreditCard : Wallet;
  const time = checkout.createTime === undefined ? 0 : timestampMs(checkout.createTime);
  return (
    <li className={classes.row} data-order={checkout.intentId}>
      <a className={classes.order} href={hrefs.order(checkout.intentId)}>
        <span className={classes.text}>
          <span className={classes.title}>{itemsInWords(checkout.items, products)}</span>
          <span className={classes.meta}>
            <Method size={14} aria-hidden />
            {byCard ? "Card" : "Balance"} · <span className="numeric">{dayAndTime(time)}</span>
            {checkout.state === CheckoutState.AWAITING_PAYMENT && checkout.declineCode !== "" && (
              <span className={classes.word}>Declined. {declineInWords(checkout.declineCode)}</span>
            )}
          </span>
        </span>
        <span className={classes.end}>
          <span className={classes.amount}>
            <Money amount={BigInt(checkout.amount)} ledger={checkout.ledger} />
          </span>
          <StateChip checkout={checkout} />
        </span>
      </a>
      {checkout.clearedIntentId !== "" && (
        <a className={classes.proof} href={hrefs.journal(checkout.clearedIntentId)}>
          <ScrollText size={16} aria-hidden />
          Journal entry
        </a>
      )}
    </li>
  );
}
