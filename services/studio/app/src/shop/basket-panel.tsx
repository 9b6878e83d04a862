import { Button } from "@mantine/core";
import { ShoppingBasket } from "lucide-react";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { usd } from "../currency.ts";
import { OrderLines } from "../goods/order-lines.tsx";
import { amountOf } from "../goods/products.ts";
import { useMesh } from "../mesh-context.tsx";
import { Money } from "../shell/money.tsx";
import { useStore } from "../store.ts";
import { unitsOf } from "./basket.ts";
import classes from "./basket-panel.module.css";

interface BasketProps {
  readonly products: readonly Product[];
  readonly onCheckOut: () => void;
}

/** What was picked, what it costs, and the way to pay it. */
export function BasketPanel({ products, onCheckOut }: BasketProps) {
  const { basket } = useMesh();
  const items = useStore(basket.state);
  return (
    <section className={classes.panel} aria-labelledby="basket-title">
      <h2 id="basket-title" className={classes.title}>
        Basket
      </h2>
      {items.length === 0 ? (
        <p className={classes.empty}>
          <ShoppingBasket size={20} strokeWidth={1.5} aria-hidden />
          Nothing in it yet.
        </p>
      ) : (
        <>
          <OrderLines items={items} products={products} onQuantity={basket.setQuantity} />
          <Button fullWidth size="md" mt="md" onClick={onCheckOut}>
            Check out&nbsp;
            <Money amount={amountOf(items, products)} ledger={usd} />
          </Button>
        </>
      )}
    </section>
  );
}

/** The same in one line, where the window has no room beside the goods. */
export function BasketBar({ products, onCheckOut }: BasketProps) {
  const { basket } = useMesh();
  const items = useStore(basket.state);
  const units = unitsOf(items);
  if (units === 0) return null;
  return (
    <section className={classes.bar} aria-label="Basket">
      <span className={classes.units}>
        <ShoppingBasket size={20} aria-hidden />
        {units === 1 ? "1 item" : `${units} items`}
      </span>
      <Button radius="xl" onClick={onCheckOut}>
        Check out&nbsp;
        <Money amount={amountOf(items, products)} ledger={usd} />
      </Button>
    </section>
  );
}
