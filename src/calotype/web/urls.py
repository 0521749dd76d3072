from django.urls import path

from calotype.web import offline

urlpatterns = [
    path("manifest.webmanifest", offline.manifest, name="manifest"),
    path("service-worker.js", offline.service_worker, name="service_worker"),
    path("offline/", offline.offline, name="offline"),
    path("share/", offline.share, name="share"),
]
