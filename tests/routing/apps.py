from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "tests.routing"
    label = "lab"
