-- Grants, at every start and after all migrations: they do not come with a restored dump. The roles that they name are made
-- first, where they are missing.
grant select, insert on evidence, clearing_failure, ledger_identity to sovr_clearing;
grant update (birth_timestamp, high_water_mark) on ledger_identity to sovr_clearing;
grant select on ledger_adoption to sovr_clearing;
grant select, insert on clearing_day_sum to sovr_clearing;
grant update (amount) on clearing_day_sum to sovr_clearing;
grant select on evidence to sovr_attestor;
-- Who read the ledger tell what evidence says of its rows, and which ledger that is.
grant select on evidence, ledger_identity to sovr_ledger, sovr_eventstream;

-- What others own, whoever of them starts first, also where they are still of the last release. When the Attestor bound an
-- id tells that an intent is as old as it says; what Checkout was told of intents that cleared is how records that are older
-- than the ledger's identity know their ledger, and nothing else of Checkout's is read.
do $$
begin
  if to_regclass('attestation_intent') is not null then
    grant select on attestation_intent to sovr_clearing;
  end if;
  if to_regclass('checkout_attempt') is not null then
    grant select (intent_id, state) on checkout_attempt to sovr_clearing;
  end if;
exception
  when insufficient_privilege then null;
end $$;
