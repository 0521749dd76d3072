from django.urls import path

from calotype.product.demo import views

urlpatterns = [
    path("about/photos/", views.about_photos, name="about_photos"),
    path("about/photos/<str:name>.jpg", views.photo, name="demo_photo"),
]
