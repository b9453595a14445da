from django.db import migrations, models

from refcache.outbox.triggers import drop_all, widen


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("table", models.CharField(max_length=255)),
                ("rows", models.TextField(null=True)),
                ("at", models.FloatField()),
            ],
            options={"db_table": "refcache_outbox"},
        ),
        migrations.CreateModel(
            name="InstalledTrigger",
            fields=[
                ("table", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=32)),
                ("notifies", models.BooleanField()),
            ],
            options={"db_table": "refcache_outbox_trigger"},
        ),
        # Without the outbox, a trigger would refuse every write. MySQL drops none in a transaction.
        migrations.RunPython(widen, drop_all, atomic=False),
    ]
