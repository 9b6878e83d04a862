-- Grants, at every start and after all migrations: they do not come with a restored dump. The roles that they name are made
-- first, where they are missing.
grant select, insert, update, delete on studio_session, studio_challenge, studio_attempt to sovr_studio;
