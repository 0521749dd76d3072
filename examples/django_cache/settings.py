"""A site that has nothing but a cache. `MEMCACHED`: addresses of memcached servers, with `;` between."""

import os

SECRET_KEY = "this example keeps no secrets"
USE_TZ = True
CACHES = {
    "default": {
        "BACKEND": "calotype.web.cache_backend.MemcachedCache",
        "LOCATION": os.environ.get("MEMCACHED", "127.0.0.1:11211"),
        "KEY_PREFIX": "example",
        "TIMEOUT": 60,
    }
}
