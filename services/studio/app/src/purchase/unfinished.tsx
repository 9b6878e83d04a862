import { Button, CloseButton } from "@mantine/core";
import { Hourglass } from "lucide-react";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { itemsInWords } from "../goods/products.ts";
import { useMesh } from "../mesh-context.tsx";
import { useStore } from "../store.ts";
import { isOver, isTooLate, mayDismiss, type Purchase, standingOf } from "./purchase.ts";
import { cancelPurchase, isRunning } from "./run.ts";
import classes from "./unfinished.module.css";

interface UnfinishedPurchasesProps {
  readonly products: readonly Product[];
  readonly onContinue: (intentId: string) => void;
}

/** More are on the page of orders. */
const shownMax = 3;

/** Purchases that are not paid, or whose outcome is not known here yet, such as those that a reload interrupted. */
export function UnfinishedPurchases({ products, onContinue }: UnfinishedPurchasesProps) {
  const mesh = useMesh();
  const { purchases } = mesh;
  /** What was paid meanwhile stays in sight; what could not be cancelled ends by itself. */
  async function putAway(purchase: Purchase): Promise<void> {
    const problem = await cancelPurchase(mesh, purchase);
    if (problem?.reason !== "NOT_CANCELLABLE") purchases.dismiss(purchase.order.intentId);
  }
  const open = useStore(purchases.state).filter(
    (purchase) =>
      !isOver(purchase) && !isTooLate(purchase, Date.now()) && !isRunning(purchase.order.intentId),
  );
  return open.slice(0, shownMax).map((purchase) => {
    const { intentId, items } = purchase.order;
    return (
      <section key={intentId} className={classes.row} aria-label="Unfinished purchase">
        <Hourglass size={20} aria-hidden />
        <p>
          <strong>{itemsInWords(items, products)}</strong> {saysOf(purchase)}
        </p>
        <Button variant="default" radius="xl" onClick={() => onContinue(intentId)}>
          Continue
        </Button>
        {mayDismiss(purchase) && (
          <CloseButton
            radius="xl"
            aria-label="Put it away"
            onClick={() => void putAway(purchase)}
          />
        )}
      </section>
    );
  });
}

function saysOf(purchase: Purchase): string {
  if (purchase.order.method === PaymentMethod.CARD && mayDismiss(purchase)) {
    return "is not paid, as far as this browser knows.";
  }
  switch (standingOf(purchase)) {
    case "signature":
      return "waits for your signature.";
    case "ledger":
      return "is paid and on its way into the ledger.";
    default:
      return "is not finished. Asking again with the same intent is safe: it clears once or not at all.";
  }
}
