"""The chains of certificates that the interop runner mounts at /certs."""

import datetime
import secrets
import string

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ["server", "server4", "server6", "server46"]
_FILLERS, _FILLER_LENGTH = 20, 250  # names that make the leaf of a long chain larger


def write_chain(folder, length):
    """priv.key, cert.pem (leaf first, then the intermediates) and ca.pem; `length` without the CA."""
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("interop matrix Root Certificate Authority")
    root = _certificate(issuer, issuer_key, issuer, issuer_key, authority=True)
    chain = []
    for number in range(1, length + 1):
        leaf = number == length
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name("interop matrix " + ("leaf" if leaf else f"intermediate {number}"))
        names = NAMES if leaf else None
        if leaf and length > 1:
            names = names + [_filler() for _ in range(_FILLERS)]
        chain.append(_certificate(subject, key, issuer, issuer_key, authority=not leaf,
                                  names=names))
        issuer, issuer_key = subject, key
    (folder / "ca.pem").write_bytes(_pem(root))
    (folder / "cert.pem").write_bytes(b"".join(map(_pem, reversed(chain))))
    (folder / "priv.key").write_bytes(issuer_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)])


def _filler():
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(_FILLER_LENGTH))


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(subject, key, issuer, issuer_key, authority, names=None):
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(hours=1))
               .not_valid_after(now + datetime.timedelta(days=10)))
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)),
                                        False)
    return builder.sign(issuer_key, hashes.SHA256())
