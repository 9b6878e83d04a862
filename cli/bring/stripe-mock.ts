import { goInstall } from "./go-install.ts";

export const stripeMockVersion = "v0.203.0";

/** Brings stripe-mock, unless it is there. Returns why it could not, if so. */
export function bringStripeMock(bin: string): Promise<string | undefined> {
  const pinned = `github.com/stripe/stripe-mock@${stripeMockVersion}`;
  return goInstall({ name: "stripe-mock", pinned, bin });
}
