"""Sessions are cached: the commit log tells each region's cache which of them changed or ended, never what is in them."""

from django.db import migrations

CREATE = """
do $$
begin
    if not exists (select from pg_publication where pubname = 'calotype') then
        create publication calotype for table public.web_session (session_key);
    end if;
end $$;
"""


class Migration(migrations.Migration):

    dependencies = [("web", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, "drop publication if exists calotype")]
