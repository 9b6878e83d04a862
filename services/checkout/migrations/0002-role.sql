-- What the first migration made, once more and at every start: roles and grants do not come with a restored dump.
do $$
begin
  begin
    create role sovr_checkout nologin;
  exception
    when duplicate_object or unique_violation then null;
  end;
  grant sovr_checkout to current_user;
end $$;

grant select, insert on checkout_transition to sovr_checkout;
grant select, insert, update on
  checkout_order, checkout_entry, checkout_attempt, checkout_webhook_event, checkout_webhook_sweep
  to sovr_checkout;
