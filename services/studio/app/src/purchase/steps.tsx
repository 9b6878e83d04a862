import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Loader } from "@mantine/core";
import { Check, CircleDashed, X } from "lucide-react";
import {
  type Checkout,
  CheckoutState,
  PaymentMethod,
  type Transition,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { usd } from "../currency.ts";
import { useMesh } from "../mesh-context.tsx";
import { Money } from "../shell/money.tsx";
import { dayAndTime, exactTime } from "../shell/time.ts";
import { useStore } from "../store.ts";
import { isCleared, type Purchase, problemOf } from "./purchase.ts";
import classes from "./steps.module.css";

type Standing = "done" | "active" | "waiting" | "failed";

interface StepProps {
  readonly standing: Standing;
  /** Before it is done, and after. */
  readonly titles: readonly [before: string, after: string];
  readonly says: string | undefined;
}

/** How far an order has come, as Checkout tells it, and at its end the event that the stream brings of it. */
export function PurchaseSteps({ purchase }: { readonly purchase: Purchase }) {
  const { feed } = useMesh();
  const clearedId = purchase.checkout?.clearedIntentId ?? "";
  const event = useStore(feed.state).events.find(
    ({ intentId }) => clearedId !== "" && intentId === clearedId,
  );
  const steps = stepsOf(purchase);
  // The first that is not done is what it is at, or where it has stopped.
  const at = steps.findIndex(({ done }) => !done);
  const stopped = problemOf(purchase) !== undefined && !isCleared(purchase);
  const told = event !== undefined ? "done" : at === -1 ? "active" : "waiting";
  return (
    <ol className={classes.steps} aria-label="Progress">
      {steps.map(({ done, titles, says }, index) => (
        <StepRow
          key={titles[0]}
          standing={done ? "done" : index !== at ? "waiting" : stopped ? "failed" : "active"}
          titles={titles}
          says={says}
        />
      ))}
      <StepRow
        standing={told}
        titles={["Wait for the event stream", "Told by the event stream"]}
        says={event === undefined ? undefined : `Event ${event.eventId}`}
      />
      <Refunds checkout={purchase.checkout} />
    </ol>
  );
}

interface Step extends Omit<StepProps, "standing"> {
  readonly done: boolean;
}

function stepsOf(purchase: Purchase): Step[] {
  const { checkout, order } = purchase;
  const byCard = order.method === PaymentMethod.CARD;
  const paid = transitionTo(checkout, CheckoutState.PAID);
  const placed = checkout?.transitions[0];
  return [
    {
      done: placed !== undefined,
      titles: ["Place the order", "Order placed"],
      says: placed === undefined ? undefined : timeOf(placed),
    },
    {
      done: paid !== undefined,
      titles: byCard ? ["Pay by card", "Paid by card"] : ["Sign and attest", "Signed and attested"],
      says: paid === undefined ? undefined : `${timeOf(paid)} · ${paid.cause}`,
    },
    {
      done: isCleared(purchase),
      titles: ["Clear it into the ledger", "Cleared into the ledger"],
      says: clearedSays(checkout, byCard),
    },
  ];
}

function transitionTo(checkout: Checkout | undefined, state: CheckoutState) {
  return checkout?.transitions.find(({ toState }) => toState === state);
}

function timeOf({ transitionTime }: Transition): string {
  return transitionTime === undefined ? "—" : dayAndTime(timestampMs(transitionTime));
}

function clearedSays(checkout: Checkout | undefined, byCard: boolean): string | undefined {
  if (checkout?.commitTime === undefined) return undefined;
  const what = byCard ? "funded and bought in one chain" : "bought from the balance";
  const again = checkout.purchases.length > 1 ? ", by a successor of the first intent" : "";
  return `${exactTime(checkout.commitTime)} · ${what}${again}`;
}

/** What was given back since. */
function Refunds({ checkout }: { readonly checkout: Checkout | undefined }) {
  const given = (checkout?.items ?? []).reduce(
    (sum, { refundedAmount }) => sum + BigInt(refundedAmount === "" ? 0 : refundedAmount),
    0n,
  );
  if (given === 0n) return null;
  return (
    <li className={classes.step} data-standing="done">
      <span className={classes.icon} aria-hidden>
        <Check size={15} strokeWidth={3} />
      </span>
      <span className={classes.title}>
        Given back: <Money amount={given} ledger={usd} />
      </span>
    </li>
  );
}

const spoken: Readonly<Record<Standing, string>> = {
  done: "done",
  active: "in progress",
  waiting: "to come",
  failed: "stopped",
};

function StepRow({ standing, titles: [before, after], says }: StepProps) {
  return (
    <li className={classes.step} data-standing={standing}>
      <span className={classes.icon} aria-hidden>
        <StepIcon standing={standing} />
      </span>
      <span>
        <span className={classes.title}>{standing === "done" ? after : before}</span>
        <span className="hidden-visually">: {spoken[standing]}</span>
        {says !== undefined && <span className={classes.says}>{says}</span>}
      </span>
    </li>
  );
}

function StepIcon({ standing }: { readonly standing: Standing }) {
  switch (standing) {
    case "done":
      return <Check size={15} strokeWidth={3} />;
    case "failed":
      return <X size={15} strokeWidth={3} />;
    case "active":
      return <Loader size={15} />;
    default:
      return <CircleDashed size={15} />;
  }
}
