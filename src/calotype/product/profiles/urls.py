from django.urls import path

from calotype.product.profiles import views

urlpatterns = [
    path("people/", views.people, name="people"),
    path("@<str:username>/", views.profile, name="profile"),
]
