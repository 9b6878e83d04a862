-- Clearing works as a role that may add evidence and read it, and do nothing else; the Attestor's may only read it.
-- The login role owns the tables and migrates; it must be allowed to create roles, or find them there.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['sovr_clearing', 'sovr_attestor'] loop
    begin
      execute format('create role %I nologin', role_name);
    exception
      when duplicate_object or unique_violation then null;
    end;
    execute format('grant %I to current_user', role_name);
  end loop;
end $$;

grant select, insert on evidence, clearing_failure to sovr_clearing;
grant select on evidence to sovr_attestor;
