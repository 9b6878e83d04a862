-- The Attestor works as a role that may add to its tables and read them, and do nothing else. The login role owns the
-- tables and migrates; it must be allowed to create roles, or find this one there.
do $$
begin
  begin
    create role sovr_attestor nologin;
  exception
    when duplicate_object or unique_violation then null;
  end;
  grant sovr_attestor to current_user;
end $$;

grant select, insert on attestation_intent, attestation_signature to sovr_attestor;
