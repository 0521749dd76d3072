from django.urls import path

from calotype.product.design import views

urlpatterns = [path("design/", views.design, name="design")]
