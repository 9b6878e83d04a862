-- compatible-from: 0003-order-key.sql
-- The key of 0003 alone decides: whoever takes an order id takes it from nobody else. A version that finds an order by
-- merchant and id alone must not run beside this one; none was released.
alter table checkout_order drop constraint checkout_order_merchant_id_order_id_key;
