-- compatible-from: 0004-order-key-alone.sql
-- How many checkouts of a wallet are open is counted before another one is taken.
create index checkout_order_open on checkout_order (wallet)
  where state in ('CREATED', 'AWAITING_SIGNATURE', 'AWAITING_PAYMENT');
