import { useQuery } from "@connectrpc/connect-query";
import { Button, Modal, Skeleton, Stack } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";
import {
  AttestorService,
  type GetDomainResponse,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { useMesh } from "../mesh/mesh.tsx";
import { explain } from "../mesh/problem.ts";
import { Money } from "../shell/money.tsx";
import { ProblemBox } from "../shell/problem-box.tsx";
import { hrefs } from "../shell/route.ts";
import { useStore } from "../store.ts";
import { IntentInWords } from "./intent-in-words.tsx";
import { type Product, priceOf, purchaseIntent, usd } from "./products.ts";
import { isOver, type Purchase, proposePurchase } from "./purchase.ts";
import { PurchaseSteps } from "./purchase-steps.tsx";
import { isRunning, runPurchase } from "./run-purchase.ts";
import type { Chosen } from "./shop-page.tsx";

interface PurchaseDialogProps {
  readonly opened: boolean;
  /** What it shows, also while it closes; undefined before it was ever opened. */
  readonly chosen: Chosen | undefined;
  readonly onClose: () => void;
}

/** A purchase: first in words, then, once it is signed, step by step. Stays mounted, so that focus finds its way back. */
export function PurchaseDialog({ opened, chosen, onClose }: PurchaseDialogProps) {
  const small = useMediaQuery("(max-width: 40em)", undefined, { getInitialValueInEffect: false });
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={<strong>{chosen?.product.name}</strong>}
      size={560}
      fullScreen={small ?? false}
      radius={small ? 0 : "lg"}
      overlayProps={{ backgroundOpacity: 0.45, blur: 2 }}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {chosen !== undefined && <PurchaseOf key={chosen.visit} chosen={chosen} onClose={onClose} />}
    </Modal>
  );
}

interface PurchaseOfProps {
  readonly chosen: Chosen;
  readonly onClose: () => void;
}

function PurchaseOf({ chosen, onClose }: PurchaseOfProps) {
  const mesh = useMesh();
  const [intentId, setIntentId] = useState(chosen.intentId);
  const [attempt, setAttempt] = useState(0);
  const begun = useStore(mesh.purchases.state).find(({ intent }) => intent.intentId === intentId);

  function run(purchase: Purchase): void {
    setIntentId(purchase.intent.intentId);
    void runPurchase(mesh, purchase);
  }

  function startAnew(): void {
    setIntentId(undefined);
    setAttempt(attempt + 1);
  }

  if (begun === undefined) {
    return <ProposalOrWhyNot key={attempt} product={chosen.product} onSign={run} />;
  }
  return (
    <Stack gap="lg">
      <IntentInWords purchase={begun} />
      <PurchaseSteps purchase={begun} />
      <BegunActions
        purchase={begun}
        onRetry={() => run(begun)}
        onAnew={startAnew}
        onClose={onClose}
      />
    </Stack>
  );
}

interface ProposalProps {
  readonly product: Product;
  readonly onSign: (purchase: Purchase) => void;
}

function ProposalOrWhyNot(props: ProposalProps) {
  const domain = useQuery(AttestorService.method.getDomain, {});
  if (domain.data !== undefined) return <Proposal {...props} domain={domain.data} />;
  if (domain.error === null) return <Skeleton height={260} radius="md" />;
  return (
    <ProblemBox problem={explain(domain.error)}>
      <Button mt="sm" variant="default" onClick={() => void domain.refetch()}>
        Try again
      </Button>
    </ProblemBox>
  );
}

function Proposal({
  product,
  domain,
  onSign,
}: ProposalProps & { readonly domain: GetDomainResponse }) {
  const { wallet } = useMesh();
  // Made once: what is shown is what is signed.
  const [proposal] = useState(() => propose(product, wallet.address, domain));
  const button = useRef<HTMLButtonElement>(null);
  // The dialog opened before the domain was there, and looked for what to focus too early.
  useEffect(() => button.current?.focus(), []);
  if (typeof proposal === "string") {
    const title = "This app cannot explain what it would sign";
    return (
      <ProblemBox problem={{ reason: "UNKNOWN_FORM", title, advice: proposal, remedy: "over" }} />
    );
  }
  return (
    <Stack gap="lg">
      <IntentInWords purchase={proposal} />
      <Button ref={button} size="md" fullWidth data-autofocus onClick={() => onSign(proposal)}>
        Sign and pay&nbsp;
        <Money amount={priceOf(product)} ledger={usd} />
      </Button>
    </Stack>
  );
}

/** A purchase to agree to, or why there can be none. */
function propose(product: Product, wallet: string, domain: GetDomainResponse): Purchase | string {
  try {
    return proposePurchase(product.sku, purchaseIntent(product, wallet), domain);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface BegunActionsProps {
  readonly purchase: Purchase;
  readonly onRetry: () => void;
  readonly onAnew: () => void;
  readonly onClose: () => void;
}

function BegunActions({ purchase, onRetry, onAnew, onClose }: BegunActionsProps) {
  const { clearing, problem, intent } = purchase;
  if (clearing !== undefined) {
    return (
      <div className="actions">
        <Button component="a" href={hrefs.journal(intent.intentId)}>
          See the proof
        </Button>
        <Button variant="default" onClick={onClose}>
          Done
        </Button>
      </div>
    );
  }
  if (problem === undefined) {
    // Nobody carries it out: a reload interrupted it.
    return isRunning(intent.intentId) ? null : <Button onClick={onRetry}>Continue</Button>;
  }
  return (
    <ProblemBox problem={problem}>
      {isOver(purchase) ? (
        <Button mt="sm" onClick={onAnew}>
          Start a new purchase
        </Button>
      ) : (
        <Button mt="sm" onClick={onRetry}>
          Ask again with the same intent
        </Button>
      )}
    </ProblemBox>
  );
}
