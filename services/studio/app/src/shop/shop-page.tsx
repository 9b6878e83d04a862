import { Title } from "@mantine/core";
import { useState } from "react";
import { BalanceCard } from "../balances/balance-card.tsx";
import { FeedPanel } from "../events/feed-panel.tsx";
import { ProductCard } from "./product-card.tsx";
import { type Product, products } from "./products.ts";
import { PurchaseDialog } from "./purchase-dialog.tsx";
import classes from "./shop-page.module.css";
import { UnfinishedPurchases } from "./unfinished-purchases.tsx";

/** What the dialog shows: a product to buy, or a purchase that was begun before. */
export type Chosen =
  | { readonly product: Product }
  | { readonly product: Product; readonly intentId: string };

export function ShopPage() {
  const [chosen, setChosen] = useState<Chosen>();
  return (
    <div className={classes.page}>
      <div className={classes.shop}>
        <BalanceCard />
        <UnfinishedPurchases onChoose={setChosen} />
        <section aria-labelledby="goods">
          <Title order={1} id="goods" className={classes.title ?? ""}>
            Shop
          </Title>
          <div className={classes.goods}>
            {products.map((product) => (
              <ProductCard
                key={product.sku}
                product={product}
                onBuy={() => setChosen({ product })}
              />
            ))}
          </div>
        </section>
      </div>
      <aside className={classes.aside} aria-label="Your events">
        <FeedPanel limit={12} />
      </aside>
      {chosen !== undefined && (
        <PurchaseDialog chosen={chosen} onClose={() => setChosen(undefined)} />
      )}
    </div>
  );
}
