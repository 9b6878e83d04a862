import { Button } from "@mantine/core";
import { Egg, type LucideIcon, Milk, ShoppingBasket, Wheat } from "lucide-react";
import { Money } from "../shell/money.tsx";
import classes from "./product-card.module.css";
import { type Product, priceOf, usd } from "./products.ts";

const icons: Readonly<Record<string, LucideIcon>> = {
  MILK: Milk,
  EGGS: Egg,
  BREAD: Wheat,
  BUNDLE: ShoppingBasket,
};

interface ProductCardProps {
  readonly product: Product;
  readonly onBuy: () => void;
}

export function ProductCard({ product, onBuy }: ProductCardProps) {
  const Icon = icons[product.sku] ?? ShoppingBasket;
  return (
    <article className={classes.card} data-sku={product.sku}>
      <div className={classes.picture} aria-hidden>
        <Icon size={44} strokeWidth={1.5} />
      </div>
      <div className={classes.text}>
        <h2 className={classes.name}>{product.name}</h2>
        <p className={classes.says}>{product.says}</p>
      </div>
      <div className={classes.foot}>
        <strong className={classes.price}>
          <Money amount={priceOf(product)} ledger={usd} />
        </strong>
        <Button
          radius="xl"
          px={16}
          flex="none"
          onClick={onBuy}
          aria-label={`Buy ${product.name.toLowerCase()}`}
        >
          Buy
        </Button>
      </div>
    </article>
  );
}
