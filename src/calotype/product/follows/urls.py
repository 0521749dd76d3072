from django.urls import path

from calotype.product.follows import views

urlpatterns = [
    path("@<str:username>/follow/", views.follow, name="follow"),
    path("@<str:username>/unfollow/", views.unfollow, name="unfollow"),
    path("@<str:username>/remove/", views.remove, name="remove_follower"),
    path("@<str:username>/block/", views.block, name="block"),
    path("@<str:username>/unblock/", views.unblock, name="unblock"),
    path("settings/blocked/", views.blocked, name="blocked"),
    path("@<str:username>/followers/", views.people_list, {"which": "followers"}, name="followers"),
    path("@<str:username>/following/", views.people_list, {"which": "following"}, name="following"),
]
