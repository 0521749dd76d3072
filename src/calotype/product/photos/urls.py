from django.urls import path

from calotype.product.photos import staging_views, views

urlpatterns = [
    path("new/", views.new, name="new"),
    path("uploads/", staging_views.create, name="uploads"),
    path("uploads/<id:file_id>/", staging_views.upload, name="upload"),
    path("uploads/<id:file_id>/preview.jpeg", staging_views.preview, name="preview"),
    path("p/<id:post_id>/edit/", views.edit, name="edit_post"),
    path("p/<id:post_id>/delete/", views.delete, name="delete_post"),
    path("p/<id:post_id>/photos/<id:photo_id>/original/", views.original, name="original"),
    path("new/edited/", views.revise, name="revise"),
    path("media/<id:post_id>/<id:photo_id>/<slug:name>.<slug:format>", views.media, name="media"),
]
