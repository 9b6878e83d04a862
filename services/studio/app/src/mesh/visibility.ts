/** A page that nobody has looked at for so long gives its streams back. */
const hiddenMsMax = 30_000;

/**
 * Streams are for pages that are looked at: over HTTP/1.1 a browser opens six connections to a server, and the streams
 * of three forgotten tabs would leave none for a fourth. Resolves once the page is visible, or when the signal fires.
 */
export function untilVisible(signal: AbortSignal): Promise<void> {
  if (!isHidden()) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (isHidden() && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
  });
}

/** Calls back once the page has been hidden for a while. Gives what ends the watch. */
export function watchHidden(onHidden: () => void): () => void {
  if (typeof document === "undefined") return () => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (isHidden()) timer = setTimeout(onHidden, hiddenMsMax);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

/** Outside of a browser, in tests, there is no page to be hidden. */
function isHidden(): boolean {
  return typeof document !== "undefined" && document.visibilityState === "hidden";
}
