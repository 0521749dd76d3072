from django.urls import path

from calotype.product.accounts import views

urlpatterns = [
    path("sign-up/", views.sign_up, name="sign_up"),
    path("log-in/", views.log_in, name="log_in"),
    path("log-out/", views.log_out, name="log_out"),
    path("settings/profile/", views.edit_profile, name="edit_profile"),
    path("settings/password/", views.change_password, name="change_password"),
    path("settings/language/", views.language_settings, name="language_settings"),
    path("language/", views.choose_language, name="choose_language"),
    path("password-reset/", views.reset_request, name="password_reset"),
    path("password-reset/<str:uid>/<str:token>/", views.reset_confirm, name="password_reset_confirm"),
    path("media/avatars/<id:account_id>/<id:avatar_id>.jpeg", views.avatar, name="avatar"),
]
