import { explain, type Problem } from "../mesh/problem.ts";
import type { Mesh } from "../mesh-context.tsx";
import { carryOut } from "./carry-out.ts";
import { type Purchase, withCheckout } from "./purchase.ts";

/** The intents that Checkout is being asked about now. One purchase runs once, however often it is asked to. */
const running = new Set<string>();

export function isRunning(intentId: string): boolean {
  return running.has(intentId);
}

/** Asks Checkout for a purchase. It goes on when its dialog is closed. */
export async function runPurchase(mesh: Mesh, purchase: Purchase): Promise<void> {
  const { intentId } = purchase.order;
  if (running.has(intentId)) return;
  running.add(intentId);
  try {
    await carryOut(purchase, {
      createCheckout: (request) => mesh.checkout.createCheckout(request),
      getDomain: () => mesh.attestor.getDomain({}),
      keep: mesh.purchases.keep,
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
  } finally {
    running.delete(intentId);
    mesh.purchases.touch();
  }
}

/**
 * The shopper wants to pay otherwise, or not at all. The order ends at Checkout first, or it could still be paid beside the
 * next one. Gives what stands in the way; undefined once nobody can pay it any more. Never throws.
 */
export async function cancelPurchase(mesh: Mesh, purchase: Purchase): Promise<Problem | undefined> {
  const { intentId } = purchase.order;
  try {
    const { checkout } = await mesh.checkout.cancelCheckout({
      key: { case: "intentId", value: intentId },
    });
    if (checkout !== undefined) mesh.purchases.keep(withCheckout(purchase, checkout));
    return undefined;
  } catch (error) {
    return explain(error);
  }
}

/** The shopper agrees: the wallet signs what was shown, and Checkout is told. */
export async function signPurchase(mesh: Mesh, purchase: Purchase): Promise<void> {
  const { digest } = purchase;
  if (digest === undefined) throw new Error("there is nothing to sign");
  const walletSignature = mesh.wallet.signDigest(digest);
  await runPurchase(mesh, { ...purchase, walletSignature });
}
