-- Grants, at every start and after all migrations: they do not come with a restored dump. The roles that they name are made
-- first, where they are missing.
grant select, insert on attestation_intent, attestation_signature to sovr_attestor;
grant select, insert on attestation_proposal, attestation_decision, attestation_day_sum to sovr_attestor;
grant update (state, approvals, close_time) on attestation_proposal to sovr_attestor;
grant update (approval, insert_time) on attestation_decision to sovr_attestor;
grant update (amount) on attestation_day_sum to sovr_attestor;
-- When an id was bound tells Clearing that an intent is as old as it says.
grant select on attestation_intent to sovr_clearing;
