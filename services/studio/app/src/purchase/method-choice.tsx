import { Stack } from "@mantine/core";
import { ChevronRight, CreditCard, type LucideIcon, Wallet } from "lucide-react";
import { formatAmount } from "#common/ledger/assets.ts";
import { PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import type { Product } from "#gen/sovr/checkout/v1/product_pb.ts";
import { usd } from "../currency.ts";
import { OrderLines } from "../goods/order-lines.tsx";
import { amountOf } from "../goods/products.ts";
import { useMesh } from "../mesh-context.tsx";
import { useStore } from "../store.ts";
import type { PageStripe } from "../studio-config.ts";
import classes from "./method-choice.module.css";
import type { Method } from "./purchase.ts";

interface MethodChoiceProps {
  readonly products: readonly Product[];
  readonly onChoose: (method: Method) => void;
}

/** What is in the basket, and with what it is paid. */
export function MethodChoice({ products, onChoose }: MethodChoiceProps) {
  const { basket, balance, config } = useMesh();
  const items = useStore(basket.state);
  const available = useStore(balance.state).balance?.available;
  const has = available === undefined ? undefined : BigInt(available);
  const short = has === undefined ? 0n : amountOf(items, products) - has;
  return (
    <Stack gap="lg">
      <OrderLines items={items} products={products} onQuantity={basket.setQuantity} />
      <section className={classes.methods} aria-label="How to pay">
        <Choice
          icon={Wallet}
          title="Pay from balance"
          says={balanceSays(has, short)}
          disabled={items.length === 0 || short > 0n}
          focused={short <= 0n}
          onClick={() => onChoose(PaymentMethod.BALANCE)}
        />
        <Choice
          icon={CreditCard}
          title="Pay by card"
          says={cardSays(config.stripe)}
          disabled={items.length === 0 || config.stripe === undefined}
          focused={short > 0n}
          onClick={() => onChoose(PaymentMethod.CARD)}
        />
      </section>
    </Stack>
  );
}

/** `short`: what a balance of `has` lacks, in cents; not above 0 if it lacks nothing. */
function balanceSays(has: bigint | undefined, short: bigint): string {
  if (has === undefined) return "You sign, and it clears at once";
  const text = `You have ${formatAmount(has, usd)}`;
  return short > 0n
    ? `${text}: ${formatAmount(short, usd)} short`
    : `${text}; you sign, and it clears at once`;
}

function cardSays(stripe: PageStripe | undefined): string {
  if (stripe === undefined) return "This mesh takes no cards";
  return stripe.simulated ? "Test cards, at the mesh's simulator of Stripe" : "With Stripe";
}

interface ChoiceProps {
  readonly icon: LucideIcon;
  readonly title: string;
  readonly says: string;
  readonly disabled: boolean;
  readonly focused?: boolean;
  readonly onClick: () => void;
}

function Choice({ icon: Icon, title, says, disabled, focused, onClick }: ChoiceProps) {
  return (
    <button
      type="button"
      className={classes.method}
      disabled={disabled}
      data-autofocus={focused}
      onClick={onClick}
    >
      <Icon size={22} aria-hidden />
      <span className={classes.text}>
        <strong>{title}</strong>
        <small>{says}</small>
      </span>
      <ChevronRight size={18} aria-hidden />
    </button>
  );
}
