from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "calotype.web"
    label = "web"
