import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { usd } from "../currency.ts";
import { Money } from "../shell/money.tsx";
import classes from "./order-lines.module.css";
import { amountOf, itemsInWords, type OrderItem } from "./products.ts";
import { Stepper } from "./stepper.tsx";

interface OrderLinesProps {
  readonly items: readonly OrderItem[];
  readonly products: readonly Product[];
  /** Minor units; undefined: what the products cost. */
  readonly total?: bigint;
  /** Undefined: the quantities are what they are. */
  readonly onQuantity?: (sku: string, quantity: number) => void;
}

/** What is bought, line by line, and what it costs in all. */
export function OrderLines({ items, products, total, onQuantity }: OrderLinesProps) {
  return (
    <div>
      <ul className={classes.lines}>
        {items.map(({ sku, quantity }) => {
          const name = itemsInWords([{ sku, quantity: 1 }], products);
          return (
            <li key={sku}>
              <span className={classes.name}>
                {onQuantity === undefined && `${quantity} × `}
                {name}
              </span>
              {onQuantity !== undefined && (
                <Stepper
                  name={name.toLowerCase()}
                  quantity={quantity}
                  onChange={(next) => onQuantity(sku, next)}
                />
              )}
              <span className={classes.amount}>
                <Money amount={amountOf([{ sku, quantity }], products)} ledger={usd} />
              </span>
            </li>
          );
        })}
      </ul>
      <p className={classes.total}>
        <span>Total</span>
        <strong data-testid="total">
          <Money amount={total ?? amountOf(items, products)} ledger={usd} />
        </strong>
      </p>
    </div>
  );
}
