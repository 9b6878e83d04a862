-- compatible-from: 0001-checkout.sql
-- An order's id is the wallet's own among those that it made at a merchant, and the merchant's own among those that the
-- merchant made, or its server. What is here already counts as the wallets'.
alter table checkout_order add column merchants_own boolean not null default false;

-- The key by which orders are found.
create unique index checkout_order_key on checkout_order
  (merchant_id, order_id, (case when merchants_own then '\x'::bytea else wallet end));
