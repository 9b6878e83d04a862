import type { Mesh } from "../mesh/mesh.tsx";
import { carryOut, type Purchase } from "./purchase.ts";

/** The intents that are being carried out now. One purchase runs once, however often it is asked to. */
const running = new Set<string>();

export function isRunning(intentId: string): boolean {
  return running.has(intentId);
}

/** Carries a purchase out over the mesh. It goes on when its dialog is closed. */
export async function runPurchase(mesh: Mesh, purchase: Purchase): Promise<void> {
  const { intentId } = purchase.intent;
  if (running.has(intentId)) return;
  running.add(intentId);
  try {
    await carryOut(purchase, {
      signDigest: mesh.wallet.signDigest,
      async attest(intent, walletSignature) {
        const { attestation } = await mesh.attestor.attest({ intent, walletSignature });
        if (attestation === undefined) throw new Error("Attest answered no attestation");
        return attestation;
      },
      async clear(intent, attestation) {
        const { clearing } = await mesh.clearing.clear({ intent, attestation });
        if (clearing === undefined) throw new Error("Clear answered no clearing");
        return clearing;
      },
      keep: mesh.purchases.keep,
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
  } finally {
    running.delete(intentId);
    mesh.purchases.touch();
  }
}
