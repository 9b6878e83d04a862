import { type Checkout, CheckoutStateSchema } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import classes from "./state-chip.module.css";
import { stateInWords } from "./state-words.ts";

/** How an order stands, in two words and a colour. */
export function StateChip({ checkout }: { readonly checkout: Checkout }) {
  const { label, tone } = stateInWords(checkout);
  const name = CheckoutStateSchema.value[checkout.state]?.name ?? "";
  return (
    <span
      className={classes.state}
      data-tone={tone}
      data-state={name.replace("CHECKOUT_STATE_", "")}
    >
      {label}
    </span>
  );
}
