from django.urls import path

from benchmarks.baselines.tuned.views import home_cached, home_read

urlpatterns = [path("api/v1/timelines/home", home_read), path("cached/api/v1/timelines/home", home_cached)]
