"""Models that only these tests need; imported before the tests' databases are made.

They are no part of the app's own models, so that the types' plugin does not know their managers.
"""

from typing import Any

from django.db import models

from refcache.querysets import ReferenceManager

# Django 6.1's; before it the cells that need it are skipped.
HAS_DATABASE_CASCADE = hasattr(models, "DB_CASCADE")
DATABASE_CASCADE: Any = getattr(models, "DB_CASCADE", models.CASCADE)


class Club(models.Model):
    name = models.CharField(max_length=50)

    objects: Any = models.Manager()
    members: Any

    class Meta:
        app_label = "testapp"


class Hobby(models.Model):
    name = models.CharField(max_length=50)

    objects: Any = models.Manager()
    member_set: Any

    class Meta:
        app_label = "testapp"


class Member(models.Model):
    """Has its writes marked row by row, also those that Django's own relations make."""

    name = models.CharField(max_length=50)
    club = models.ForeignKey(Club, models.SET_NULL, null=True, related_name="members")
    hobbies: Any = models.ManyToManyField(Hobby)

    objects: Any = ReferenceManager()

    class Meta:
        app_label = "testapp"
        base_manager_name = "objects"


class Owner(models.Model):
    name = models.CharField(max_length=50)

    objects: Any = models.Manager()

    class Meta:
        app_label = "testapp"


class Pet(models.Model):
    """Is deleted with its owner, by the database."""

    name = models.CharField(max_length=50)
    owner = models.ForeignKey(Owner, DATABASE_CASCADE)

    objects: Any = models.Manager()

    class Meta:
        app_label = "testapp"
