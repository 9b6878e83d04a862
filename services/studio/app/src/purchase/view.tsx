import { Button, Skeleton, Stack } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { CardPayment } from "../card/payment.tsx";
import { usd } from "../currency.ts";
import { OrderLines } from "../goods/order-lines.tsx";
import type { Problem } from "../mesh/problem.ts";
import { useMesh } from "../mesh-context.tsx";
import { Money } from "../shell/money.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { hrefs } from "../shell/route.ts";
import { IntentInWords } from "./intent-in-words.tsx";
import { isCleared, type Purchase, problemOf, standingOf } from "./purchase.ts";
import { cancelPurchase, isRunning, runPurchase, signPurchase } from "./run.ts";
import { StateChip } from "./state-chip.tsx";
import { PurchaseSteps } from "./steps.tsx";
import { useCheckoutWatch } from "./use-checkout-watch.ts";
import classes from "./view.module.css";

interface PurchaseViewProps {
  readonly purchase: Purchase;
  readonly products: readonly Product[];
  /** Back to the basket with the same goods. */
  readonly onAnew: () => void;
  readonly onClose: () => void;
}

/** An order on its way: what it waits for, and how far it has come, live. */
export function PurchaseView(props: PurchaseViewProps) {
  const { purchase, products, onAnew } = props;
  const mesh = useMesh();
  const { order, checkout } = purchase;
  const standing = standingOf(purchase);
  const problem = problemOf(purchase);
  // Only what Checkout knows can be watched, and what is over changes no more while one looks at it.
  useCheckoutWatch(checkout === undefined || standing === "over" ? undefined : order.intentId);
  // Whoever opens an order that an answer is missing of, as after a reload, wants to know.
  const asks = standing === "asking" && problem === undefined && !isRunning(order.intentId);
  useEffect(() => {
    if (asks) void runPurchase(mesh, purchase);
  }, [asks, mesh, purchase]);

  // A card's purchase opens the account of a wallet that had none.
  const cleared = isCleared(purchase);
  useEffect(() => {
    if (cleared) mesh.balance.look();
  }, [cleared, mesh]);

  if (standing === "signature" && problem === undefined) {
    return (
      <Stack gap="lg">
        <OrderHead purchase={purchase} />
        <IntentInWords purchase={purchase} />
        <SignButton purchase={purchase} />
        <OtherWay purchase={purchase} onAnew={onAnew} />
      </Stack>
    );
  }
  if (standing === "card" && purchase.clientSecret !== undefined) {
    return (
      <Stack gap="lg">
        <OrderHead purchase={purchase} />
        <OrderLines items={order.items} products={products} total={order.amount} />
        <CardPayment purchase={purchase} clientSecret={purchase.clientSecret} />
        <OtherWay purchase={purchase} onAnew={onAnew} />
      </Stack>
    );
  }
  const isWords = order.method === PaymentMethod.BALANCE && purchase.walletSignature === undefined;
  if (isWords && standing === "asking" && problem === undefined) {
    return <Skeleton height={260} radius="md" />;
  }
  return (
    <Stack gap="lg">
      <OrderHead purchase={purchase} />
      <OrderLines items={order.items} products={products} total={order.amount} />
      <PurchaseSteps purchase={purchase} />
      <Ending {...props} />
    </Stack>
  );
}

/** Which order it is and how it stands, as the stream tells it. */
function OrderHead({ purchase: { order, checkout } }: { readonly purchase: Purchase }) {
  return (
    <p className={classes.head} role="status">
      <span className="mono faint">{order.orderId}</span>
      {checkout !== undefined && <StateChip checkout={checkout} />}
    </p>
  );
}

function SignButton({ purchase }: { readonly purchase: Purchase }) {
  const mesh = useMesh();
  const button = useRef<HTMLButtonElement>(null);
  // The dialog opened before there was anything to sign, and looked for what to focus too early.
  useEffect(() => button.current?.focus(), []);
  return (
    <Button ref={button} size="md" fullWidth onClick={() => void signPurchase(mesh, purchase)}>
      Sign and pay&nbsp;
      <Money amount={purchase.order.amount} ledger={usd} />
    </Button>
  );
}

function OtherWay({ purchase, onAnew }: Pick<PurchaseViewProps, "purchase" | "onAnew">) {
  const mesh = useMesh();
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  async function leave(): Promise<void> {
    setBusy(true);
    const found = await cancelPurchase(mesh, purchase);
    setBusy(false);
    setProblem(found);
    if (found === undefined) onAnew();
  }
  return (
    <>
      <Button variant="subtle" color="gray" loading={isBusy} onClick={() => void leave()}>
        Pay another way
      </Button>
      {problem !== undefined && <ProblemBox problem={problem} />}
    </>
  );
}

function Ending({ purchase, onAnew, onClose }: PurchaseViewProps) {
  const mesh = useMesh();
  const problem = problemOf(purchase);
  if (isCleared(purchase)) {
    return (
      <div className="actions">
        <Button component="a" href={hrefs.journal(purchase.checkout?.clearedIntentId ?? "")}>
          See the proof
        </Button>
        <Button variant="default" onClick={onClose}>
          Done
        </Button>
      </div>
    );
  }
  if (problem === undefined) return null;
  return (
    <ProblemBox problem={problem}>
      {standingOf(purchase) === "over" ? (
        <Button mt="sm" onClick={onAnew}>
          Start a new purchase
        </Button>
      ) : (
        <Button mt="sm" onClick={() => void runPurchase(mesh, purchase)}>
          Ask again with the same intent
        </Button>
      )}
    </ProblemBox>
  );
}
