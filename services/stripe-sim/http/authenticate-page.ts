import type { Stripe } from "stripe";
import { formatAmount } from "../objects/money.ts";

/** The page that stands for the shopper's bank. */
export function authenticatePage(intent: Stripe.PaymentIntent): string {
  const amount = `${formatAmount(intent.amount, intent.currency)} ${intent.currency.toUpperCase()}`;
  const body =
    intent.status === "requires_action"
      ? `<p>Your bank asks: do you want to pay <strong>${escapeHtml(amount)}</strong>?</p>
<form method="post">
<button name="outcome" value="complete" autofocus>Complete authentication</button>
<button name="outcome" value="fail">Fail authentication</button>
</form>`
      : `<p>This payment waits for no authentication: it is <strong>${escapeHtml(intent.status)}</strong>.</p>`;
  return page(body);
}

/** Shown after the answer where there is no page to return to. */
export function authenticatedPage(intent: Stripe.PaymentIntent): string {
  return page(
    `<p>The payment is <strong>${escapeHtml(intent.status)}</strong>. You can close this page.</p>`,
  );
}

/** Where the shopper goes back to, told how it ended as Stripe tells it. */
export function returnAddress(returnUrl: string, intent: Stripe.PaymentIntent): string {
  const url = new URL(returnUrl);
  const failed = ["requires_payment_method", "canceled"].includes(intent.status);
  url.searchParams.set("payment_intent", intent.id);
  url.searchParams.set("payment_intent_client_secret", intent.client_secret ?? "");
  url.searchParams.set("redirect_status", failed ? "failed" : "succeeded");
  return url.href;
}

function page(body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Simulated bank</title>
<h1>Simulated bank</h1>
<p>This is SOVR Mesh's simulator of Stripe. No money moves.</p>
${body}
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
