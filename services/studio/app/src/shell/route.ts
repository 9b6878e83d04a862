import { useSyncExternalStore } from "react";

/** The pages, by what stands behind the #. */
export type Route =
  | { readonly page: "shop" }
  /** `intentId`: the order that stands open. */
  | { readonly page: "orders"; readonly intentId: string | undefined }
  | { readonly page: "activity" }
  | { readonly page: "wallet" }
  /** Of a person who has signed in. */
  | { readonly page: "account" }
  | { readonly page: "journal"; readonly intentId: string }
  | { readonly page: "unknown" };

export const hrefs = {
  shop: "#/",
  orders: "#/orders",
  order: (intentId: string) => `#/orders/${intentId}`,
  activity: "#/activity",
  wallet: "#/wallet",
  account: "#/account",
  journal: (intentId: string) => `#/journal/${intentId}`,
} as const;

export function parseRoute(hash: string): Route {
  const [page = "", intentId = "", ...more] = hash.replace(/^#\/?/, "").split("/");
  if (more.length > 0) return { page: "unknown" };
  if (page === "orders") return { page, intentId: intentId === "" ? undefined : intentId };
  if (page === "journal" && intentId !== "") return { page, intentId };
  if (intentId !== "") return { page: "unknown" };
  if (page === "") return { page: "shop" };
  const isPage = page === "activity" || page === "wallet" || page === "account";
  return isPage ? { page } : { page: "unknown" };
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return parseRoute(hash);
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}
