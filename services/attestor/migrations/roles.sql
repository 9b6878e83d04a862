-- Roles and grants, at every start and after all migrations: they do not come with a restored dump.
-- Only what is missing is made, so that a login that may not make roles finds those that were made for it.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['sovr_attestor', 'sovr_clearing'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception
        when duplicate_object or unique_violation then null;
      end;
    end if;
    if not pg_has_role(current_user, role_name, 'SET') then
      execute format('grant %I to current_user', role_name);
    end if;
  end loop;
end $$;

grant select, insert on attestation_intent, attestation_signature to sovr_attestor;
grant select, insert on attestation_proposal, attestation_decision, attestation_day_sum to sovr_attestor;
grant update (state, approvals, close_time) on attestation_proposal to sovr_attestor;
grant update (approval, insert_time) on attestation_decision to sovr_attestor;
grant update (amount) on attestation_day_sum to sovr_attestor;
-- When an id was bound tells Clearing that an intent is as old as it says.
grant select on attestation_intent to sovr_clearing;
