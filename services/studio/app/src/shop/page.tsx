import { Button, Skeleton, Title } from "@mantine/core";
import { useState } from "react";
import { FeedPanel } from "../activity/feed-panel.tsx";
import { BalanceCard } from "../balances/balance-card.tsx";
import { useProducts } from "../goods/use-products.ts";
import { useMesh } from "../mesh-context.tsx";
import { CheckoutDialog, type Chosen } from "../purchase/checkout-dialog.tsx";
import { UnfinishedPurchases } from "../purchase/unfinished.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { useStore } from "../store.ts";
import { quantityOf } from "./basket.ts";
import { BasketBar, BasketPanel } from "./basket-panel.tsx";
import classes from "./page.module.css";
import { ProductCard } from "./product-card.tsx";

export function ShopPage() {
  const { products, problem, retry } = useProducts();
  const [chosen, setChosen] = useState<Chosen>();
  const [opened, setOpened] = useState(false);

  function open(intentId?: string): void {
    setChosen({ intentId, visit: (chosen?.visit ?? 0) + 1 });
    setOpened(true);
  }

  const basket = { products, onCheckOut: () => open() };
  return (
    <div className={classes.page}>
      <div className={classes.shop}>
        <BalanceCard />
        {!opened && <UnfinishedPurchases products={products} onContinue={open} />}
        <section aria-labelledby="goods">
          <Title order={1} id="goods" className={classes.title ?? ""}>
            Shop
          </Title>
          {problem === undefined ? (
            <Goods />
          ) : (
            <ProblemBox problem={problem}>
              <Button mt="sm" variant="default" onClick={retry}>
                Try again
              </Button>
            </ProblemBox>
          )}
        </section>
      </div>
      <aside className={classes.aside} aria-label="Your basket and events">
        <BasketPanel {...basket} />
        <FeedPanel limit={10} />
      </aside>
      <BasketBar {...basket} />
      <CheckoutDialog opened={opened} chosen={chosen} onClose={() => setOpened(false)} />
    </div>
  );
}

function Goods() {
  const { basket } = useMesh();
  const { products } = useProducts();
  const items = useStore(basket.state);
  if (products.length === 0) return <Skeleton height={360} radius="lg" />;
  return (
    <div className={classes.goods}>
      {products.map((product) => (
        <ProductCard
          key={product.sku}
          product={product}
          quantity={quantityOf(items, product.sku)}
          onQuantity={(quantity) => basket.setQuantity(product.sku, quantity)}
        />
      ))}
    </div>
  );
}
