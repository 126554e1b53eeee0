"""QUIC packet protection (RFC 9001, RFC 9369), to read captures with a key log.

Not tern's: these keys and ciphers come from the `cryptography` package, so that what tern says of
itself is checked by somebody else.
"""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

V1, V2 = 0x00000001, 0x6B3343CF
SALTS = {V1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
         V2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")}

AES_128_GCM, AES_256_GCM, CHACHA20 = 0x1301, 0x1302, 0x1303
_SUITES = {AES_128_GCM: (hashes.SHA256, 16, AESGCM), AES_256_GCM: (hashes.SHA384, 32, AESGCM),
           CHACHA20: (hashes.SHA256, 32, ChaCha20Poly1305)}


class Undecryptable(Exception):
    """The packet cannot be read with the keys at hand: none, wrong ones, or it was damaged."""


def _expand(algorithm, secret, label, length):
    full = b"tls13 " + label
    info = struct.pack("!HB", length, len(full)) + full + b"\0"
    return HKDFExpand(algorithm=algorithm(), length=length, info=info).derive(secret)


class Keys:
    """One direction's keys of one encryption level, in one QUIC version."""

    def __init__(self, version, suite, secret):
        self.version, self.suite, self.secret = version, suite, secret
        self._hash, size, aead = _SUITES[suite]
        prefix = b"quicv2 " if version == V2 else b"quic "
        self._prefix = prefix
        self._aead = aead(_expand(self._hash, secret, prefix + b"key", size))
        self._iv = int.from_bytes(_expand(self._hash, secret, prefix + b"iv", 12), "big")
        self._header = _expand(self._hash, secret, prefix + b"hp", size)
        if suite != CHACHA20:
            self._block = Cipher(algorithms.AES(self._header), modes.ECB()).encryptor()

    def following(self):
        """The keys after a key update; header protection stays (RFC 9001, section 6.1)."""
        size = self._hash().digest_size
        after = Keys(self.version, self.suite,
                     _expand(self._hash, self.secret, self._prefix + b"ku", size))
        after._header = self._header
        if self.suite != CHACHA20:
            after._block = self._block
        return after

    def mask(self, sample):
        if self.suite == CHACHA20:
            cipher = Cipher(algorithms.ChaCha20(self._header, sample), mode=None).encryptor()
            return cipher.update(bytes(5))
        return self._block.update(sample)

    def open(self, number, header, sealed):
        nonce = (self._iv ^ number).to_bytes(12, "big")
        try:
            return self._aead.decrypt(nonce, sealed, header)
        except InvalidTag as wrong:
            raise Undecryptable from wrong


def initial_keys(version, dcid):
    """(client's, server's) for the connection whose client chose `dcid`."""
    mac = hmac.HMAC(SALTS[version], hashes.SHA256())
    mac.update(dcid)
    initial = mac.finalize()
    return tuple(Keys(version, AES_128_GCM, _expand(hashes.SHA256, initial, label, 32))
                 for label in (b"client in", b"server in"))


def unprotect(keys, packet, offset):
    """(header without protection, packet number's low bits, its length); `offset` is where it is."""
    if len(packet) < offset + 20:
        raise Undecryptable
    mask = keys.mask(packet[offset + 4:offset + 20])
    first = packet[0] ^ (mask[0] & (0x0F if packet[0] & 0x80 else 0x1F))
    length = (first & 3) + 1
    number = bytes(a ^ b for a, b in zip(packet[offset:offset + length], mask[1:]))
    header = bytes([first]) + packet[1:offset] + number
    return header, int.from_bytes(number, "big"), length


def full_number(low, length, largest):
    """RFC 9000, appendix A.3."""
    expected, window = largest + 1, 1 << (8 * length)
    candidate = (expected & ~(window - 1)) | low
    if candidate <= expected - window // 2 and candidate < (1 << 62) - window:
        return candidate + window
    if candidate > expected + window // 2 and candidate >= window:
        return candidate - window
    return candidate


def is_key_log(path):
    """What the runner takes for one."""
    return path.is_file() and any(
        line.startswith("SERVER_HANDSHAKE_TRAFFIC_SECRET")
        for line in path.read_text(errors="replace").splitlines())


def read_key_logs(paths):
    """{client random: {label: secret}} of NSS key logs."""
    secrets = {}
    for path in paths:
        if not path.exists():
            continue
        for line in path.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) != 3 or words[0].startswith("#"):
                continue
            try:
                random, secret = bytes.fromhex(words[1]), bytes.fromhex(words[2])
            except ValueError:
                continue
            secrets.setdefault(random, {})[words[0]] = secret
    return secrets
