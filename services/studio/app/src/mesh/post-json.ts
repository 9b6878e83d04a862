import { StudioError } from "./problem.ts";

const requestMsMax = 10_000;

/** Posts JSON to Studio's server. Rejects with StudioError, which carries the reason it gives. */
export async function postJson(
  path: string,
  body: Readonly<Record<string, string>>,
  token?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(requestMsMax),
  }).catch((error: unknown) => {
    throw new StudioError("NETWORK", String(error));
  });
  const answer = (await response.json().catch(() => ({}))) as Readonly<Record<string, unknown>>;
  if (response.ok) return answer;
  const known = typeof answer["reason"] === "string" ? answer["reason"] : undefined;
  const reason = known ?? (response.status === 404 ? "NO_TOKENS" : "NETWORK");
  throw new StudioError(reason, String(answer["message"] ?? `status ${response.status}`));
}
