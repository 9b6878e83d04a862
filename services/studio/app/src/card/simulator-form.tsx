import { Button } from "@mantine/core";
import { Ban, CreditCard, FlaskConical, Landmark, type LucideIcon } from "lucide-react";
import { type ReactNode, useState } from "react";
import { type CardOutcome, returnUrlOf } from "./outcome.ts";
import { payAtSimulator, type TestCard, testCards } from "./simulator.ts";
import classes from "./simulator-form.module.css";

export interface CardFormProps {
  readonly publishableKey: string;
  readonly clientSecret: string;
  readonly intentId: string;
  /** True while an attempt runs. */
  readonly busy: boolean;
  /** Runs an attempt. */
  readonly onPay: (pay: () => Promise<CardOutcome>) => void;
  /** What went wrong, said where the shopper looks: at the button. */
  readonly problem: ReactNode;
  /** What stands on the button. */
  readonly children: ReactNode;
}

const icons: Readonly<Record<TestCard["kind"], LucideIcon>> = {
  pays: CreditCard,
  asks: Landmark,
  fails: Ban,
};

/** Stands where Stripe's form would: the simulator's cards to choose from. */
export function SimulatorForm(props: CardFormProps) {
  const { publishableKey, clientSecret, intentId, busy, onPay, problem, children } = props;
  const [card, setCard] = useState(testCards[0]);
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault();
        const returnUrl = returnUrlOf(intentId);
        onPay(() => payAtSimulator({ publishableKey, clientSecret, card, returnUrl }));
      }}
    >
      <p className={classes.mark}>
        <span className="demo-mark">
          <FlaskConical size={14} aria-hidden /> Simulator
        </span>
        <span>Test cards. No bank is asked and no money moves.</span>
      </p>
      <fieldset className={classes.cards} disabled={busy}>
        <legend className="hidden-visually">Test card</legend>
        {testCards.map((candidate) => {
          const Icon = icons[candidate.kind];
          return (
            <label key={candidate.number} className={classes.card} data-kind={candidate.kind}>
              <input
                type="radio"
                name="card"
                checked={candidate === card}
                onChange={() => setCard(candidate)}
              />
              <Icon size={18} aria-hidden />
              <span className={classes.text}>
                <span className={classes.does}>{candidate.does}</span>
                <span className={classes.number}>
                  {candidate.brand} •••• {candidate.number.slice(-4)}
                </span>
              </span>
            </label>
          );
        })}
      </fieldset>
      {problem}
      <Button type="submit" size="md" fullWidth loading={busy} data-autofocus>
        {children}
      </Button>
    </form>
  );
}
