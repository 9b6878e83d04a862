import { useQuery } from "@connectrpc/connect-query";
import { Button, Modal, Skeleton } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useEffect, useState } from "react";
import { CheckoutService } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { amountOf, itemsInWords } from "../goods/products.ts";
import { useProducts } from "../goods/use-products.ts";
import { explain } from "../mesh/problem.ts";
import { useMesh } from "../mesh-context.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { useStore } from "../store.ts";
import { MethodChoice } from "./method-choice.tsx";
import { foundPurchase, type Method, newPurchase, type Purchase } from "./purchase.ts";
import { runPurchase } from "./run.ts";
import { PurchaseView } from "./view.tsx";

/** What the dialog shows. */
export interface Chosen {
  /** Undefined: the basket, to be bought. */
  readonly intentId: string | undefined;
  /** Another one each time, so that nothing stays of the last. */
  readonly visit: number;
}

interface CheckoutDialogProps {
  readonly opened: boolean;
  /** What it shows, also while it closes; undefined before it was ever opened. */
  readonly chosen: Chosen | undefined;
  readonly onClose: () => void;
}

/** From the basket to the ledger. Stays mounted, so that focus finds its way back. */
export function CheckoutDialog({ opened, chosen, onClose }: CheckoutDialogProps) {
  const small = useMediaQuery("(max-width: 40em)", undefined, { getInitialValueInEffect: false });
  const [title, setTitle] = useState("");
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={<strong>{title}</strong>}
      size={560}
      fullScreen={small ?? false}
      radius={small ? 0 : "lg"}
      overlayProps={{ backgroundOpacity: 0.45, blur: 2 }}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {chosen !== undefined && (
        <Stages key={chosen.visit} chosen={chosen} onTitle={setTitle} onClose={onClose} />
      )}
    </Modal>
  );
}

interface StagesProps {
  readonly chosen: Chosen;
  readonly onTitle: (title: string) => void;
  readonly onClose: () => void;
}

function Stages({ chosen, onTitle, onClose }: StagesProps) {
  const mesh = useMesh();
  const { products } = useProducts();
  const [intentId, setIntentId] = useState(chosen.intentId);
  const purchase = useStore(mesh.purchases.state).find(({ order }) => order.intentId === intentId);
  const title = purchase === undefined ? "Check out" : itemsInWords(purchase.order.items, products);
  useEffect(() => onTitle(title), [onTitle, title]);

  function place(method: Method): void {
    const items = mesh.basket.state.get();
    const amount = amountOf(items, products);
    const placed = newPurchase({ wallet: mesh.wallet.address, items, amount, method });
    setIntentId(placed.order.intentId);
    void runPurchase(mesh, placed);
    mesh.basket.set([]);
  }

  /** Back to the basket, as it was. */
  function startAnew({ order }: Purchase): void {
    mesh.purchases.dismiss(order.intentId);
    mesh.basket.set(order.items);
    setIntentId(undefined);
  }

  if (intentId === undefined) return <MethodChoice products={products} onChoose={place} />;
  if (purchase === undefined) return <Finding intentId={intentId} />;
  return (
    <PurchaseView
      purchase={purchase}
      products={products}
      onAnew={() => startAnew(purchase)}
      onClose={onClose}
    />
  );
}

/** Looks for an order that this browser does not know. */
function Finding({ intentId }: { readonly intentId: string }) {
  const { purchases } = useMesh();
  const found = useQuery(
    CheckoutService.method.getCheckout,
    { key: { case: "intentId", value: intentId } },
    { staleTime: 0 },
  );
  const checkout = found.data?.checkout;
  useEffect(() => {
    if (checkout !== undefined) purchases.keep(foundPurchase(checkout));
  }, [purchases, checkout]);
  if (found.error === null) return <Skeleton height={260} radius="md" />;
  return (
    <ProblemBox problem={explain(found.error)}>
      <Button mt="sm" variant="default" onClick={() => void found.refetch()}>
        Try again
      </Button>
    </ProblemBox>
  );
}
