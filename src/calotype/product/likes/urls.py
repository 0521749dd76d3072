from django.urls import path

from calotype.product.likes import views

urlpatterns = [
    path("p/<id:post_id>/like/", views.like, name="like"),
    path("p/<id:post_id>/unlike/", views.unlike, name="unlike"),
]
