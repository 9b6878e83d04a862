import { useState } from "react";
import { explain, type Problem } from "../mesh/problem.ts";
import { useMesh } from "../mesh-context.tsx";

/** The development faucet, one request at a time. */
export function useFaucet() {
  const mesh = useMesh();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();

  /** `amount`: cents. */
  async function ask(amount: bigint): Promise<void> {
    setBusy(true);
    setProblem(undefined);
    try {
      await mesh.fund(amount);
    } catch (error) {
      setProblem(explain(error));
    } finally {
      setBusy(false);
    }
  }

  return { busy, problem, fund: (amount: bigint) => void ask(amount) };
}
