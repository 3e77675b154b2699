"""Certificates of a stage's own: an authority in its private state, and what that signs for names of the stage.

The authority is known to this stage and to nobody else, so what trusts it trusts one stage of one machine. Keys are
files as other secrets are (0600). What is about to expire, or is for other names, is made anew; the authority lasts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pl.env import Secret, secret_file
from pl.files import write_whole

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_AUTHORITY = "authority"
_AUTHORITY_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=397)  # what browsers accept
_LEFT_AT_LEAST = timedelta(days=30)
_CLOCK_SKEW = timedelta(days=1)


def certificate_of(state: Path, name: str) -> Secret:
    """The certificate, PEM."""
    return Secret(secret_file(state, f"{name}.crt"))


def key_of(state: Path, name: str) -> Secret:
    """Its key, PEM."""
    return Secret(secret_file(state, f"{name}.key"))


def authority_of(state: Path) -> Secret:
    """The certificate of whoever signed the others, PEM: what clients are told to trust."""
    return certificate_of(state, _AUTHORITY)


def provide(state: Path, wanted: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Have a certificate for each name, good for its hosts (names and addresses). Returns the names of those made."""
    if not wanted:
        return ()
    now = datetime.now(UTC)
    authority = _read(state, _AUTHORITY)
    if authority is None or authority.not_valid_after_utc < now + _LIFE:
        _make(state, _AUTHORITY, hosts=(), now=now)
        authority = _read(state, _AUTHORITY)
    made = []
    for name, hosts in wanted.items():
        there = _read(state, name)
        if there is None or not _is_good(there, authority, hosts, now):
            _make(state, name, hosts=hosts, now=now)
            made.append(name)
    return tuple(made)


def _is_good(
    certificate: x509.Certificate, authority: x509.Certificate | None, hosts: Sequence[str], now: datetime
) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        if authority is None:
            return False
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return list(named) == _names(hosts) and certificate.not_valid_after_utc > now + _LEFT_AT_LEAST


def _read(state: Path, name: str) -> x509.Certificate | None:
    """None where certificate or key are not there, or are none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        serialization.load_pem_private_key(key_of(state, name).path.read_bytes(), password=None)
        return x509.load_pem_x509_certificate(certificate_of(state, name).path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _make(state: Path, name: str, *, hosts: Sequence[str], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    of_authority = name == _AUTHORITY
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities of one name, one gone and one new, must not be taken for each other.
    title = f"{state.parent.name} {state.name} {now:%Y-%m-%d %H:%M:%S}" if of_authority else name
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title[:64])])
    signer, issuer = (key, subject) if of_authority else _signer(state)
    usage = x509.KeyUsage(
        digital_signature=not of_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=of_authority,
        crl_sign=of_authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + (_AUTHORITY_LIFE if of_authority else _LIFE))
        .add_extension(x509.BasicConstraints(ca=of_authority, path_length=0 if of_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not of_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        served = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(served, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The key first: a certificate without its key counts as none, and one that was left beside a new key would not.
    certificate_of(state, name).path.unlink(missing_ok=True)
    key_of(state, name).path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(key_of(state, name).path, plain.decode())
    write_whole(certificate_of(state, name).path, certificate.public_bytes(serialization.Encoding.PEM).decode())


def _signer(state: Path) -> tuple[EllipticCurvePrivateKey, x509.Name]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(key_of(state, _AUTHORITY).path.read_bytes(), password=None)
    certificate = x509.load_pem_x509_certificate(authority_of(state).path.read_bytes())
    return cast("EllipticCurvePrivateKey", key), certificate.subject


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for host in hosts:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host))
    return found
