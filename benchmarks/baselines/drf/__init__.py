"""The home feed with Django REST framework, as its tutorial and documentation have it."""
