from django.urls import path

from calotype.product.comments import views

urlpatterns = [
    path("p/<id:post_id>/comments/", views.add, name="comment"),
    path("p/<id:post_id>/comments/<id:comment_id>/delete/", views.delete, name="delete_comment"),
]
