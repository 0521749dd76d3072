from django.urls import path

from calotype.product.feed import views

urlpatterns = [
    path("", views.home, name="home"),
    path("feed/newer/", views.newer, name="newer"),
    path("settings/feed/", views.settings, name="feed_settings"),
    path("p/<id:post_id>/", views.post, name="post"),
    path("api/v1/timelines/home", views.timeline, name="timeline"),
    path("api/v1/accounts/<id:account_id>/statuses", views.account_statuses, name="account_statuses"),
]
