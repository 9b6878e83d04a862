import { Button } from "@mantine/core";
import { Hourglass } from "lucide-react";
import { useMesh } from "../mesh/mesh.tsx";
import { useStore } from "../store.ts";
import { type Product, products } from "./products.ts";
import { isOver } from "./purchase.ts";
import { isRunning } from "./run-purchase.ts";
import classes from "./unfinished-purchases.module.css";

interface UnfinishedPurchasesProps {
  readonly onContinue: (product: Product, intentId: string) => void;
}

/** Purchases whose outcome is not known here yet, such as those that a reload interrupted. */
export function UnfinishedPurchases({ onContinue }: UnfinishedPurchasesProps) {
  const { purchases } = useMesh();
  const open = useStore(purchases.state).filter(
    (purchase) => !isOver(purchase) && !isRunning(purchase.intent.intentId),
  );
  return open.map(({ sku, intent: { intentId } }) => {
    const product = products.find((candidate) => candidate.sku === sku);
    if (product === undefined) return null;
    return (
      <section key={intentId} className={classes.row} aria-label="Unfinished purchase">
        <Hourglass size={20} aria-hidden />
        <p>
          <strong>{product.name}</strong> is not finished. Asking again with the same intent is
          safe: it clears once or not at all.
        </p>
        <Button variant="default" radius="xl" onClick={() => onContinue(product, intentId)}>
          Continue
        </Button>
      </section>
    );
  });
}
