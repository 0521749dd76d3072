from tests.django_site import set_up

set_up()
