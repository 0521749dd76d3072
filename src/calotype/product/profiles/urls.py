from django.urls import path

from calotype.product.profiles import views

urlpatterns = [
    path("people/", views.people, name="people"),
    path("@<str:username>/", views.profile, name="profile"),
    path("@<str:username>/card/", views.person_card, name="person_card"),
    path("p/<id:post_id>/card/", views.post_card, name="post_card"),
]
