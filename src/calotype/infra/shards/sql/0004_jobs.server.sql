-- Whoever sweeps the outboxes is told of work that is due at once, so that it need not ask all the time. Inverse edges
-- are carried by their writer, and what is due later is found by the sweep: neither is worth a message.
create function calotype.outbox_due_now() returns trigger language plpgsql as $$
begin
    perform pg_notify('calotype_outbox', '');
    return null;
end $$;

create trigger outbox_due_now after insert on calotype.outbox for each row
    when (new.kind not in ('mirror', 'forget') and new.due <= new.created) execute function calotype.outbox_due_now();
