"""What the OpenAPI schema says of tokens. drf-spectacular finds what is imported: with the addresses."""

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme


class TokenScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]
    """As SimpleJWT's own, of which ours is one."""

    target_class = "access.authentication.TokenAuthentication"
    name = "jwtAuth"
