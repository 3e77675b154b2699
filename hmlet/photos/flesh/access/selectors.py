"""Who is signed in."""

from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from access.models import SignIn

SIGN_IN_CLAIM = "sid"


def sign_in_of(token: Token) -> SignIn | None:
    """The sign-in that a verified token belongs to, with its user; None when it has ended, the user may not come in any
    more, or has another password than then. KeyError for a token without one."""
    sign_in = SignIn.objects.select_related("user").filter(pk=token[SIGN_IN_CLAIM], ended=None).first()
    if sign_in is None or not sign_in.user.is_active:
        return None
    same_password = token.get(api_settings.REVOKE_TOKEN_CLAIM) == get_md5_hash_password(sign_in.user.password)
    return sign_in if same_password else None
