from django.urls import path

from calotype.product.photos import views

urlpatterns = [
    path("new/", views.new, name="new"),
    path("p/<id:post_id>/edit/", views.edit, name="edit_post"),
    path("p/<id:post_id>/delete/", views.delete, name="delete_post"),
    path("p/<id:post_id>/photos/<id:photo_id>/original/", views.original, name="original"),
    path("new/edited/", views.revise, name="revise"),
    path("media/<id:post_id>/<id:photo_id>/<slug:name>.<slug:format>", views.media, name="media"),
]
