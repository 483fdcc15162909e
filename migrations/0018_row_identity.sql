-- What is deleted from these tables, which have no primary key, is published by its whole row. Else PostgreSQL refuses to delete from them as
-- soon as there is a publication for all tables, as Debezium makes it by default, and no attempt that is due again would be found.

alter table event_positions replica identity full;
alter table lease_checks replica identity full;
alter table status_count_deltas replica identity full;
alter table failure_deltas replica identity full;
