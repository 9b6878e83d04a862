import { Button, Skeleton, useComputedColorScheme } from "@mantine/core";
import type { Stripe, StripeElements } from "@stripe/stripe-js";
import { loadStripe } from "@stripe/stripe-js/pure";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { StudioError } from "../mesh/problem.ts";
import { ProblemBox } from "../shell/problem-box.tsx";
import { type CardOutcome, returnUrlOf } from "./outcome.ts";
import type { CardFormProps } from "./simulator-form.tsx";

interface Loaded {
  readonly stripe: Stripe;
  readonly elements: StripeElements;
}

/** Stripe's own form, in Stripe's own frame: this page never sees a card. */
export default function StripeForm(props: CardFormProps) {
  const { publishableKey, clientSecret, intentId, busy, onPay, problem, children } = props;
  const [loaded, setLoaded] = useState<Loaded>();
  const [missing, setMissing] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });

  useEffect(() => {
    let gone = false;
    let unmount: () => void = () => undefined;
    async function mount(): Promise<void> {
      const stripe = await loadStripe(publishableKey);
      if (stripe === null || place.current === null || gone) return;
      const theme = scheme === "dark" ? "night" : "stripe";
      const elements = stripe.elements({ clientSecret, appearance: { theme } });
      const form = elements.create("payment");
      unmount = () => form.destroy();
      form.on("ready", () => setLoaded({ stripe, elements }));
      form.on("loaderror", () => setMissing(true));
      form.mount(place.current);
    }
    mount().catch(() => setMissing(true));
    return () => {
      gone = true;
      unmount();
      setLoaded(undefined);
    };
  }, [publishableKey, clientSecret, scheme]);

  function pay(event: FormEvent): void {
    event.preventDefault();
    if (loaded !== undefined) onPay(() => payAtStripe(loaded, returnUrlOf(intentId)));
  }

  return (
    <form onSubmit={pay}>
      {missing && <ProblemBox problem={unreachable} mb="md" />}
      {loaded === undefined && !missing && <Skeleton height={220} radius="md" />}
      <div ref={place} />
      {problem}
      <Button type="submit" size="md" fullWidth mt="md" loading={busy} disabled={!loaded}>
        {children}
      </Button>
    </form>
  );
}

const unreachable = {
  reason: "STRIPE_UNREACHABLE",
  title: "Stripe's card form does not load",
  advice: "Check that this device can reach js.stripe.com, then open the order again.",
  remedy: "ask",
} as const;

async function payAtStripe({ stripe, elements }: Loaded, returnUrl: string): Promise<CardOutcome> {
  const { error } = await stripe.confirmPayment({
    elements,
    confirmParams: { return_url: returnUrl },
    redirect: "if_required",
  });
  if (error === undefined) return { kind: "accepted" };
  const { type, code = "", decline_code = code, message = "" } = error;
  if (type === "validation_error") return { kind: "incomplete" };
  if (type === "card_error") return { kind: "declined", message, code: decline_code };
  // Paid before, and the answer was lost: Checkout knows.
  if (error.payment_intent?.status === "succeeded") return { kind: "accepted" };
  throw new StudioError("PAYMENTS_UNAVAILABLE", message);
}
