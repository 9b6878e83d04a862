import { useEffect } from "react";
import type { WatchCheckoutResponse } from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { followStream } from "../mesh/follow-stream.ts";
import { useMesh } from "../mesh-context.tsx";

/**
 * Hears of every change of a checkout while the component is shown. Streams end by themselves after some minutes, or
 * with the process behind them, and are opened again. `intentId`: undefined watches nothing.
 */
export function useCheckoutWatch(intentId: string | undefined): void {
  const { checkout: client, purchases } = useMesh();
  useEffect(() => {
    if (intentId === undefined) return;
    const gone = new AbortController();
    void followStream<WatchCheckoutResponse>(
      {
        open: (signal) =>
          client.watchCheckout(
            { key: { case: "intentId", value: intentId } },
            { signal: AbortSignal.any([signal, untilHidden(gone.signal)]) },
          ),
        onMessage: ({ checkout }) => checkout !== undefined && purchases.see(checkout),
        // The next message tells all that was missed, so there is nothing to say of the connection.
        onConnection: () => undefined,
      },
      gone.signal,
    );
    return () => gone.abort();
  }, [client, purchases, intentId]);
}

/** Other streams of a page may outlive its being hidden for a while. This one is a third, and a browser has six. */
function untilHidden(signal: AbortSignal): AbortSignal {
  const hidden = new AbortController();
  const look = () => document.visibilityState === "hidden" && hidden.abort();
  document.addEventListener("visibilitychange", look, { signal });
  return hidden.signal;
}
