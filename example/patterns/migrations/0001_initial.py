from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ForeignCustomer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("tier", models.CharField(max_length=10)),
            ],
            options={
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ForeignJoinedOrder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=2, max_digits=10)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "orders_orderevent",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ViewedCustomer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("tier", models.CharField(max_length=10)),
            ],
            options={
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ViewJoinedOrder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=2, max_digits=10)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "orders_orderevent",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="DenormalisedOrder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("customer_id", models.BigIntegerField(db_index=True)),
                ("customer_name", models.CharField(max_length=100, null=True)),
                ("customer_tier", models.CharField(max_length=10, null=True)),
                ("amount", models.DecimalField(decimal_places=2, max_digits=10)),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
