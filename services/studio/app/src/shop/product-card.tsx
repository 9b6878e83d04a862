import { Button } from "@mantine/core";
import { Egg, type LucideIcon, Milk, Plus, ShoppingBasket, Wheat } from "lucide-react";
import { useEffect, useRef } from "react";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { usd } from "../currency.ts";
import { priceOf } from "../goods/products.ts";
import { Stepper } from "../goods/stepper.tsx";
import { Money } from "../shell/money.tsx";
import classes from "./product-card.module.css";

const icons: Readonly<Record<string, LucideIcon>> = {
  MILK: Milk,
  EGGS: Egg,
  BREAD: Wheat,
  BUNDLE: ShoppingBasket,
};

interface ProductCardProps {
  readonly product: Product;
  /** How many are in the basket. */
  readonly quantity: number;
  readonly onQuantity: (quantity: number) => void;
}

export function ProductCard({ product, quantity, onQuantity }: ProductCardProps) {
  const Icon = icons[product.sku] ?? ShoppingBasket;
  const name = product.name.toLowerCase();
  const focus = useFocusOver(quantity > 0);
  return (
    <article className={classes.card} data-sku={product.sku}>
      <div className={classes.picture} aria-hidden>
        <Icon size={44} strokeWidth={1.5} />
      </div>
      <div className={classes.text}>
        <h2 className={classes.name}>{product.name}</h2>
        <p className={classes.says}>{product.description}</p>
      </div>
      <div className={classes.foot}>
        <strong className={classes.price}>
          <Money amount={priceOf(product)} ledger={usd} />
        </strong>
        {quantity === 0 ? (
          <Button
            ref={focus.button}
            variant="light"
            radius="xl"
            px={14}
            flex="none"
            leftSection={<Plus size={16} aria-hidden />}
            onClick={() => focus.over(() => onQuantity(1))}
            aria-label={`Add ${name}`}
          >
            Add
          </Button>
        ) : (
          <Stepper
            name={name}
            quantity={quantity}
            plus={focus.button}
            onChange={(next) => (next === 0 ? focus.over(() => onQuantity(0)) : onQuantity(next))}
          />
        )}
      </div>
    </article>
  );
}

/** Where a button gives way to another, the other gets its focus: who works by keyboard stays where he was. */
function useFocusOver(state: boolean) {
  const button = useRef<HTMLButtonElement>(null);
  const wanted = useRef(false);
  const shown = useRef(state);
  useEffect(() => {
    if (shown.current === state) return;
    shown.current = state;
    if (wanted.current) button.current?.focus();
    wanted.current = false;
  }, [state]);
  return {
    button,
    over(change: () => void): void {
      wanted.current = true;
      change();
    },
  };
}
