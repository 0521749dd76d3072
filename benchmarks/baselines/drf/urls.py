from django.urls import path

from benchmarks.baselines.drf.views import Home

urlpatterns = [path("api/v1/timelines/home", Home.as_view())]
