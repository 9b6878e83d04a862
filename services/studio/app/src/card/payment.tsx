import { Skeleton } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { CheckoutState } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { usd } from "../currency.ts";
import { explain, explainReason, type Problem } from "../mesh/problem.ts";
import { useMesh } from "../mesh-context.tsx";
import type { Purchase } from "../purchase/purchase.ts";
import { runPurchase } from "../purchase/run.ts";
import { Money } from "../shell/money.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { declineInWords } from "./decline-words.ts";
import type { CardOutcome } from "./outcome.ts";
import { SimulatorForm } from "./simulator-form.tsx";

// Its library comes when a card is paid with it, and never where there is a simulator.
const StripeForm = lazy(() => import("./stripe-form.tsx"));

interface CardPaymentProps {
  readonly purchase: Purchase;
  readonly clientSecret: string;
}

/** Pays an order by card. That it is paid, Checkout tells; the form waits for that. */
export function CardPayment({ purchase, clientSecret }: CardPaymentProps) {
  const mesh = useMesh();
  const { stripe } = mesh.config;
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();

  async function attempt(pay: () => Promise<CardOutcome>): Promise<void> {
    setBusy(true);
    setProblem(undefined);
    try {
      const outcome = await pay();
      if (outcome.kind === "authenticate") return leaveFor(outcome.url);
      if (outcome.kind === "declined") setProblem(declined(outcome.code));
      if (outcome.kind !== "accepted") setBusy(false);
      // Checkout looks at the payment when it is asked, and does not wait for Stripe to tell it.
      if (outcome.kind !== "incomplete") await runPurchase(mesh, purchase);
    } catch (error) {
      setProblem(explain(error));
      setBusy(false);
    }
  }

  if (stripe === undefined) {
    return <ProblemBox problem={explainReason("PAYMENT_METHOD_UNAVAILABLE")} />;
  }
  const Form = stripe.simulated ? SimulatorForm : StripeForm;
  const shown = busy ? undefined : (problem ?? told(purchase));
  return (
    <Suspense fallback={<Skeleton height={260} radius="md" />}>
      <Form
        publishableKey={stripe.publishableKey}
        clientSecret={clientSecret}
        intentId={purchase.order.intentId}
        busy={busy}
        onPay={(pay) => void attempt(pay)}
        problem={shown && <ProblemBox problem={shown} data-testid="card-problem" />}
      >
        Pay&nbsp;
        <Money amount={purchase.order.amount} ledger={usd} />
        &nbsp;by card
      </Form>
    </Suspense>
  );
}

/** To the bank's page, which leads back. Throws Error for any other than the simulator's, which is of this origin. */
function leaveFor(url: string): void {
  if (new URL(url).origin !== location.origin) throw new Error(`${url} is not of this mesh`);
  location.assign(url);
}

/** What Checkout knows of the last attempt, such as one from before a reload. */
function told({ checkout }: Purchase): Problem | undefined {
  if (checkout?.state !== CheckoutState.AWAITING_PAYMENT) return undefined;
  switch (checkout.failureReason) {
    case ErrorReason.UNSPECIFIED:
      return undefined;
    case ErrorReason.PAYMENT_ACTION_REQUIRED:
      return explainReason("PAYMENT_ACTION_REQUIRED");
    default:
      return declined(checkout.declineCode);
  }
}

function declined(code: string): Problem {
  const { advice, ...problem } = explainReason("PAYMENT_DECLINED");
  const reason = code === "" ? problem.reason : `${problem.reason} ${code}`;
  return { ...problem, reason, advice: `${declineInWords(code)} ${advice}` };
}
