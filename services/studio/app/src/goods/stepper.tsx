import { ActionIcon } from "@mantine/core";
import { Minus, Plus } from "lucide-react";
import type { Ref } from "react";
import { quantityMax } from "./products.ts";
import classes from "./stepper.module.css";

interface StepperProps {
  /** Of the product, in lower case: "milk". */
  readonly name: string;
  readonly quantity: number;
  readonly onChange: (quantity: number) => void;
  readonly plus?: Ref<HTMLButtonElement>;
}

/** How many of a product: one more, one less. */
export function Stepper({ name, quantity, onChange, plus }: StepperProps) {
  return (
    <fieldset className={classes.stepper}>
      <legend className="hidden-visually">Quantity of {name}</legend>
      <ActionIcon
        variant="default"
        radius="xl"
        size={34}
        aria-label={`One ${name} less`}
        onClick={() => onChange(quantity - 1)}
      >
        <Minus size={16} aria-hidden />
      </ActionIcon>
      <output className={classes.quantity} aria-label={`${name} in the basket`}>
        {quantity}
      </output>
      <ActionIcon
        ref={plus}
        variant="default"
        radius="xl"
        size={34}
        aria-label={`One ${name} more`}
        disabled={quantity >= quantityMax}
        onClick={() => onChange(quantity + 1)}
      >
        <Plus size={16} aria-hidden />
      </ActionIcon>
    </fieldset>
  );
}
