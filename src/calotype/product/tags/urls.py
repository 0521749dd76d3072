from django.urls import path

from calotype.product.tags import views

urlpatterns = [
    path("tags/<str:name>/", views.tag, name="tag"),
    path("api/v1/timelines/tag/<str:name>", views.timeline, name="tag_timeline"),
]
