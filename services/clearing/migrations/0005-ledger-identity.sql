-- Which ledger this evidence belongs to. No other ledger, not even one of the same cluster id, has the first account of
-- the chart from the same nanosecond; and a ledger that has lost something is older than what was seen of it.
create table ledger_identity (
  one_row boolean primary key default true check (one_row),
  cluster_id numeric(39) not null check (cluster_id >= 0),
  -- An account of the chart, and when it was opened: nanoseconds of the ledger's clock. Null until Clearing has opened
  -- the chart in a ledger that was empty when somebody adopted it.
  birth_account_id numeric(39) not null,
  birth_timestamp numeric(20) check (birth_timestamp > 0),
  -- Of the newest committed transfer or account that Clearing has seen, never of a clock.
  high_water_mark numeric(20) not null check (high_water_mark >= 0)
);

-- Who has told the house to take another ledger, or this one although it has lost something, and what was given up.
create table ledger_adoption (
  number bigint generated always as identity primary key,
  adopt_time timestamptz not null default transaction_timestamp(),
  adopted_by text not null check (length(adopted_by) between 1 and 256),
  -- Lets the identity change, in the transaction that leaves this trace and in no other.
  transaction_id xid8 not null default pg_current_xact_id(),
  old_cluster_id numeric(39),
  old_birth_timestamp numeric(20),
  old_high_water_mark numeric(20),
  new_cluster_id numeric(39) not null,
  new_birth_timestamp numeric(20),
  new_high_water_mark numeric(20) not null
);

create trigger ledger_adoption_append_only before update or delete or truncate on ledger_adoption
  for each statement execute function refuse_change();
create trigger ledger_identity_stays before delete or truncate on ledger_identity
  for each statement execute function refuse_change();

create function guard_ledger_identity() returns trigger language plpgsql as $$
begin
  if exists (select from ledger_adoption
    where transaction_id = pg_current_xact_id() and adopt_time = transaction_timestamp())
  then
    return new;
  end if;
  if new.cluster_id <> old.cluster_id or new.birth_account_id <> old.birth_account_id
    or (old.birth_timestamp is not null and new.birth_timestamp is distinct from old.birth_timestamp)
    or new.high_water_mark < old.high_water_mark
  then
    raise exception 'the identity of the ledger does not change' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger ledger_identity_guarded before update on ledger_identity
  for each row execute function guard_ledger_identity();

grant select, insert on ledger_identity to sovr_clearing;
grant update (birth_timestamp, high_water_mark) on ledger_identity to sovr_clearing;
grant select on ledger_adoption to sovr_clearing;
