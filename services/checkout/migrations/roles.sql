-- Grants, at every start and after all migrations: they do not come with a restored dump. The roles that they name are made
-- first, where they are missing.
grant select, insert on checkout_transition to sovr_checkout;
grant select, insert, update on
  checkout_order, checkout_entry, checkout_attempt, checkout_webhook_event, checkout_webhook_sweep
  to sovr_checkout;
