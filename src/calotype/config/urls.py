"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from calotype.config.health import healthz
from calotype.efficiency.dynostats.exposition import exposition
from calotype.product.accounts.admin import admin_log_in
from calotype.web import converters

converters.register()

handler400 = "calotype.web.errors.bad_request"
handler403 = "calotype.web.errors.permission_denied"
handler404 = "calotype.web.errors.not_found"
handler500 = "calotype.web.errors.server_error"

urlpatterns = [
    path("admin/login/", admin_log_in),
    path("admin/", admin.site.urls),
    path("ops/", include("calotype.efficiency.console.urls")),
    path("", include("calotype.product.design.urls")),
    path("healthz", healthz, name="healthz"),
    path("metrics", exposition, name="metrics"),
    path("", include("calotype.web.urls")),
    path("", include("calotype.product.feed.urls")),
    path("", include("calotype.product.notifications.urls")),
    path("", include("calotype.product.accounts.urls")),
    path("", include("calotype.product.photos.urls")),
    path("", include("calotype.product.likes.urls")),
    path("", include("calotype.product.comments.urls")),
    path("", include("calotype.product.follows.urls")),
    path("", include("calotype.product.sharing.urls")),
    path("", include("calotype.product.demo.urls")),
    path("", include("calotype.product.profiles.urls")),
    path("", include("calotype.product.tags.urls")),
    path("", include("calotype.product.explore.urls")),
]
