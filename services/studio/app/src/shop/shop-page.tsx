import { Title } from "@mantine/core";
import { useState } from "react";
import { BalanceCard } from "../balances/balance-card.tsx";
import { FeedPanel } from "../events/feed-panel.tsx";
import { ProductCard } from "./product-card.tsx";
import { type Product, products } from "./products.ts";
import { PurchaseDialog } from "./purchase-dialog.tsx";
import classes from "./shop-page.module.css";
import { UnfinishedPurchases } from "./unfinished-purchases.tsx";

/** What the dialog shows: a product to buy, or a purchase of it that was begun before. */
export interface Chosen {
  readonly product: Product;
  readonly intentId: string | undefined;
  /** Another one each time, so that nothing stays of the last. */
  readonly visit: number;
}

export function ShopPage() {
  const [chosen, setChosen] = useState<Chosen>();
  const [opened, setOpened] = useState(false);

  function open(product: Product, intentId?: string): void {
    setChosen({ product, intentId, visit: (chosen?.visit ?? 0) + 1 });
    setOpened(true);
  }

  return (
    <div className={classes.page}>
      <div className={classes.shop}>
        <BalanceCard />
        <UnfinishedPurchases onContinue={open} />
        <section aria-labelledby="goods">
          <Title order={1} id="goods" className={classes.title ?? ""}>
            Shop
          </Title>
          <div className={classes.goods}>
            {products.map((product) => (
              <ProductCard key={product.sku} product={product} onBuy={() => open(product)} />
            ))}
          </div>
        </section>
      </div>
      <aside className={classes.aside} aria-label="Your events">
        <FeedPanel limit={12} />
      </aside>
      <PurchaseDialog opened={opened} chosen={chosen} onClose={() => setOpened(false)} />
    </div>
  );
}
