from django.db import migrations, models


class Migration(migrations.Migration):
    """The database knows the default too: the release before this one makes accounts without saying a language."""

    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="language",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=16, verbose_name="language"
            ),
        ),
    ]
