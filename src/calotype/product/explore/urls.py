from django.urls import path

from calotype.product.explore import views

urlpatterns = [
    path("explore/", views.explore, name="explore"),
    path("api/v1/trends/statuses", views.statuses, name="trends"),
]
