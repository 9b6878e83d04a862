import type { Mesh } from "../mesh-context.tsx";
import { carryOut } from "./carry-out.ts";
import type { Purchase } from "./purchase.ts";

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

/** The shopper agrees: the wallet signs what was shown, and Checkout is told. */
export async function signPurchase(mesh: Mesh, purchase: Purchase): Promise<void> {
  const { digest } = purchase;
  if (digest === undefined) throw new Error("there is nothing to sign");
  const walletSignature = mesh.wallet.signDigest(digest);
  await runPurchase(mesh, { ...purchase, walletSignature });
}
