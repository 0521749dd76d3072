from django.urls import path

from calotype.product.sharing import views

urlpatterns = [
    path("api/oembed", views.oembed, name="oembed"),
    path("p/<id:post_id>/share/", views.share_post, name="share_post"),
    path("@<str:username>/share/", views.share_profile, name="share_profile"),
]
