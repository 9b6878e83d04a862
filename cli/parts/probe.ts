/** Resolves if `url` answers 2xx. Throws Error otherwise, with what a service says that it waits for. */
export async function expectOk(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { signal });
  const text = await response.text();
  if (response.ok) return;
  const missing = missingDependencies(text);
  throw new Error(
    missing ? `waits for ${missing}` : `${new URL(url).pathname} answers ${response.status}`,
  );
}

/** The names and reasons in a service's answer of what it is not ready for; empty if the answer is none. */
function missingDependencies(readiness: string): string {
  try {
    const { dependencies } = JSON.parse(readiness) as {
      dependencies: readonly {
        readonly name: string;
        readonly ok: boolean;
        readonly why?: string;
      }[];
    };
    return dependencies
      .filter(({ ok }) => !ok)
      .map(({ name, why }) => (why === undefined ? name : `${name} (${why})`))
      .join(", ");
  } catch {
    return "";
  }
}
