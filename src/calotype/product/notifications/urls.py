from django.urls import path

from calotype.product.notifications import api, views

urlpatterns = [
    path("notifications/", views.notifications, name="notifications"),
    path("notifications/read/", views.read, name="read_notifications"),
    path("notifications/unread/", views.unread, name="unread"),
    path("notifications/live/", views.live, name="live"),
    path("settings/notifications/", views.settings, name="notification_settings"),
    path("api/v1/notifications", api.notifications, name="api_notifications"),
    path("api/v1/markers", api.markers, name="markers"),
]
