import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ArrowRight, Clock, Fingerprint } from "lucide-react";
import { ClearingIntentSchema } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { usd } from "../currency.ts";
import { accountName, accountSays } from "../shell/account-name.ts";
import { Copyable } from "../shell/copyable.tsx";
import { Money } from "../shell/money.tsx";
import { dayAndTime } from "../shell/time.ts";
import classes from "./intent-in-words.module.css";
import type { Purchase } from "./purchase.ts";

/** What a purchase's signature will say, for people: who pays whom what, until when, and the digest that stands for it. */
export function IntentInWords({ purchase: { intent, digest } }: { readonly purchase: Purchase }) {
  if (intent === undefined || digest === undefined) return null;
  const total = intent.postings.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  const expireMs = intent.expireTime === undefined ? 0 : timestampMs(intent.expireTime);
  return (
    <section className={classes.intent} aria-label="What you sign">
      <p className={classes.lead}>
        You pay{" "}
        <strong>
          <Money amount={total} ledger={usd} />
        </strong>{" "}
        to <strong>{intent.merchantId}</strong> from your balance, all at once or not at all.
      </p>
      <ul className={classes.postings}>
        {intent.postings.map((posting) => (
          <li key={posting.creditAccountId}>
            <span className={classes.way}>
              {accountName(posting.debitAccountId, intent.wallet)}
              <ArrowRight size={15} aria-label="to" />
              <span>
                {accountName(posting.creditAccountId, intent.wallet)}
                <small>{accountSays(posting.creditAccountId)}</small>
              </span>
            </span>
            <Money amount={BigInt(posting.amount)} ledger={posting.ledger} />
          </li>
        ))}
      </ul>
      <dl className={classes.facts}>
        <dt>
          <Clock size={15} aria-hidden /> Good until
        </dt>
        <dd className="numeric">{dayAndTime(expireMs)}</dd>
        <dt>
          <Fingerprint size={15} aria-hidden /> Digest
        </dt>
        <dd data-testid="digest" data-digest={digest}>
          <Copyable text={digest} what="digest" short />
        </dd>
      </dl>
      <details className={classes.details}>
        <summary>The whole intent</summary>
        <pre>{JSON.stringify(toJson(ClearingIntentSchema, intent), null, 2)}</pre>
      </details>
    </section>
  );
}
