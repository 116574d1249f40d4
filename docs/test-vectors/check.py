#!/usr/bin/env python3
"""Kring's protocol once more, from docs/protocol.md alone, against the vectors beside this file.

    pip install cryptography        # 48 or newer, for ML-KEM-768 and Argon2id
    python3 docs/test-vectors/check.py

It shares no code with Kring. It decodes and decrypts as a receiver of version 1 does, both sides of the handshake and of the one
inside the session included; what it derives, it compares. Each line names what agreed; the first that does not ends it.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
except ImportError as missing:
    sys.exit(f"nothing was checked: {missing}; `pip install cryptography`, 48 or newer")

HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parent.parent
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def load(name):
    return json.loads((HERE / f"{name}.json").read_text())


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hmac256(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def expand(prk, info, length=32, hash_=hashlib.sha256):
    out, block, n = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([n]), hash_).digest()
        out, n = out + block, n + 1
    return out[:length]


def hkdf(salt, ikm, info, length=32, hash_=hashlib.sha256):
    return expand(hmac.new(salt, ikm, hash_).digest(), info, length, hash_)


class Malformed(Exception):
    pass


def varint(data, at):
    if at >= len(data):
        raise Malformed("cut short")
    n = 1 << (data[at] >> 6)
    if at + n > len(data):
        raise Malformed("cut short")
    value = int.from_bytes(data[at : at + n]) & ((1 << (8 * n - 2)) - 1)
    if n > 1 and value < 1 << (8 * (n // 2) - 2):
        raise Malformed("not the shortest form")
    return value, at + n


def fields(data):
    out, at = [], 0
    while at < len(data):
        kind, at = varint(data, at)
        length, at = varint(data, at)
        if at + length > len(data):
            raise Malformed("a field beyond the end")
        out.append((kind, data[at : at + length]))
        at += length
    return out


def number(value):
    n, end = varint(value, 0)
    if end != len(value):
        raise Malformed("more than a number")
    return n


def get(pairs, kind):
    return next((value for k, value in pairs if k == kind), None)


def same(what, came, expected):
    if came != expected:
        sys.exit(f"FAILED {what}: expected {expected!r}, came {came!r}")


def done(what):
    print(f"ok     {what}")


def unhex(text):
    return bytes.fromhex(text)


# Section 2


def fingerprint(identity):
    return sha256(b"kring identity", identity)[:20]


def certificate_holds(data, proven, identity, now):
    if len(data) != 136:
        return False
    who, noise, end, signature = data[:32], data[32:64], data[64:72], data[72:]
    if noise != proven or who != identity or int.from_bytes(end) <= now:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(who).verify(signature, b"kring certificate 1" + noise + end)
    except (InvalidSignature, ValueError):
        return False
    return True


def half_number(identity):
    h = hashlib.sha512(b"kring safety number 1" + identity + identity).digest()
    for _ in range(5199):
        h = hashlib.sha512(h + identity).digest()
    return "".join(f"{int.from_bytes(h[5 * n : 5 * n + 5]) % 100_000:05}" for n in range(6))


def check_identities():
    vectors = load("identity")
    people = []
    for person in vectors["people"]:
        signing = Ed25519PrivateKey.from_private_bytes(unhex(person["Ed25519 seed"]))
        noise = X25519PrivateKey.from_private_bytes(unhex(person["X25519 secret"]))
        identity, public = signing.public_key().public_bytes_raw(), noise.public_key().public_bytes_raw()
        same("identity", identity.hex(), person["Ed25519 public key"])
        same("fingerprint", fingerprint(identity).hex(), person["fingerprint"])
        same("Noise key", public.hex(), person["X25519 public key"])
        end = int(person["not after"]).to_bytes(8)
        signature = signing.sign(b"kring certificate 1" + public + end)
        same("certificate", (identity + public + end + signature).hex(), person["certificate"])
        body = b"kring id\x01" + unhex(person["Ed25519 seed"]) + b"\x01" + unhex(person["X25519 secret"]) + end
        same("identity file", (body + sha256(body)[:8]).hex(), person["identity file"])
        people.append((signing, noise, identity, public, unhex(person["certificate"])))
    for refused in vectors["refused"]:
        _, _, identity, public, _ = people[0]
        now = int(refused.get("now", 1_800_000_000))
        holds = certificate_holds(unhex(refused["certificate"]), public, identity, now)
        same(refused["why"], holds, False)
    done("2    identities, fingerprints, certificates, identity files; what is refused")
    verify = load("verify")
    a, b = unhex(verify["caller"]), unhex(verify["callee"])
    digits = "".join(sorted([half_number(a), half_number(b)]))
    same("safety number", " ".join(digits[n : n + 5] for n in range(0, 60, 5)), verify["safety number"])
    text = "kringid1" + base32(a + b + sha256(a + b)[:4])
    same("safety QR", text.upper(), verify["as the caller's QR code"])
    done("2    the safety number and its QR code")
    code = verify["code"]
    h, n_a, n_b = unhex(code["h"]), unhex(code["nA"]), unhex(code["nB"])
    same("commitment", sha256(b"kring code commitment", h, n_a).hex(), code["commitment"])
    bits = int.from_bytes(hkdf(h, n_a + n_b, b"kring code")[:8])
    words = (REPOSITORY / "crates/kring-core/src/verify/words.txt").read_text().split()
    came = " ".join(words[bits >> shift & 0x7FF] for shift in (53, 42, 31, 20))
    same("code", came, code["words"])
    appendix = (REPOSITORY / "docs/protocol.md").read_text().split("## Appendix E.")[1]
    rows = [line.split("|")[2:-1] for line in appendix.splitlines() if line.startswith("|")][2:]
    emoji = [cell.strip() for row in rows for cell in row]
    same("code", [emoji[bits >> shift & 0x3F] for shift in (58, 52, 46, 40, 34)], code["emoji"])
    done("7.3  the commitment and the code in words and emoji")
    return people


# Section 3


def base32(data):
    return base64.b32encode(data).decode().rstrip("=").lower()


def ticket(text):
    text = "".join(text.split()).lower()
    if len(text) > 1024 or not text.startswith("kring1"):
        raise Malformed("no ticket")
    rest = text[6:]
    try:
        data = base64.b32decode(rest.upper() + "=" * (-len(rest) % 8))
    except ValueError as error:
        raise Malformed("no base32") from error
    body, check = data[:-4], data[-4:]
    if len(body) < 73 or sha256(body)[:4] != check or body[0] != 0:
        raise Malformed("checksum, length or flags")
    at, addresses, relays = 73, 0, 0
    while at < len(body):
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            raise Malformed("a field beyond the end")
        kind, value = body[at], body[at + 2 : at + 2 + body[at + 1]]
        if kind in (7, 8):
            relays += 1
            judge_relay(kind, value)
        elif kind in (4, 6):
            if len(value) != (6 if kind == 4 else 18) or value[-2:] == b"\0\0":
                raise Malformed("an address that is none")
            addresses += 1
        at += 2 + len(value)
    if addresses > 8 or relays > 1 or addresses + relays == 0:
        raise Malformed("too many addresses or relays, or none")
    ident = sha256(b"kring ticket id", body)[:8]
    return body, ident, hkdf(ident, body[53:69], b"kring ticket psk")


def judge_relay(kind, value):
    place = value[32 if kind == 7 else 64 :].decode("ascii", "replace")
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or len(place) > 191:
        raise Malformed("a relay that is none")


def public_of_seed(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def check_tickets():
    vectors = load("ticket")
    noise = unhex(load("identity")["people"][1]["X25519 secret"])
    issued, ends = vectors["issued"], vectors["tickets"][0]["expires"]
    salt = issued.to_bytes(8) + ends.to_bytes(8)
    mailbox = public_of_seed(hkdf(salt, noise, b"kring mailbox"))
    same("mailbox", mailbox.hex(), vectors["mailbox of the last two"])
    for vector in vectors["tickets"][-2:]:
        if mailbox not in unhex(vector["body"]):
            sys.exit("FAILED the mailbox stands in the ticket")
    for vector in vectors["tickets"]:
        body, ident, psk0 = ticket(vector["text"])
        same("body", body.hex(), vector["body"])
        same("ticket id", ident.hex(), vector["ticket id"])
        same("psk0", psk0.hex(), vector["psk0"])
    for refused in vectors["refused"]:
        try:
            ticket(refused["text"])
        except Malformed:
            continue
        sys.exit(f"FAILED a ticket was taken: {refused['why']}")
    done("3    tickets, their ids and psk0, the mailbox of one; what is refused")


# Sections 5 and 6: Noise (revision 34, with hfs), symmetric state and transport


def dh(secret, public):
    return secret.exchange(X25519PublicKey.from_public_bytes(public))


class Cipher:
    def __init__(self, key):
        self.key, self.n = key, 0

    def nonce(self, n):
        return bytes(4) + n.to_bytes(8, "little")

    def seal(self, plaintext, ad=b""):
        self.n += 1
        return ChaCha20Poly1305(self.key).encrypt(self.nonce(self.n - 1), plaintext, ad)

    def open(self, ciphertext, ad=b""):
        self.n += 1
        return ChaCha20Poly1305(self.key).decrypt(self.nonce(self.n - 1), ciphertext, ad)

    def rekey(self):
        last = bytes(4) + b"\xff" * 8
        self.key = ChaCha20Poly1305(self.key).encrypt(last, bytes(32), b"")[:32]


class Symmetric:
    def __init__(self, prologue):
        name = b"Noise_IKhfs+psk0_25519+MLKEM768_ChaChaPoly_SHA256"
        self.h = self.ck = sha256(name)
        self.cipher = None
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = sha256(self.h, data)

    def mix_key(self, ikm):
        prk = hmac256(self.ck, ikm)
        okm = expand(prk, b"", 64)
        self.ck, self.cipher = okm[:32], Cipher(okm[32:])

    def mix_key_and_hash(self, ikm):
        okm = expand(hmac256(self.ck, ikm), b"", 96)
        self.ck, self.cipher = okm[:32], Cipher(okm[64:])
        self.mix_hash(okm[32:64])

    def seal(self, plaintext):
        out = self.cipher.seal(plaintext, self.h)
        self.mix_hash(out)
        return out

    def open(self, ciphertext):
        out = self.cipher.open(ciphertext, self.h)
        self.mix_hash(ciphertext)
        return out

    def split(self):
        okm = expand(hmac256(self.ck, b""), b"", 64)
        return Cipher(okm[:32]), Cipher(okm[32:])


def take(message, *lengths):
    parts = []
    for length in lengths:
        parts.append(message[:length])
        message = message[length:]
    return [*parts, message]


def handshake(prologue, psk0, caller, callee, draws, first, second):
    """Reads both messages, each as the one whom it is for; gives payloads, hash, channels and the caller's static key."""
    (_, s_a), (_, s_b) = caller, callee
    s_a_public, s_b_public = s_a.public_key().public_bytes_raw(), s_b.public_key().public_bytes_raw()
    e_a = X25519PrivateKey.from_private_bytes(draws["e_a"])
    kem = MLKEM768PrivateKey.from_seed_bytes(draws["kem"])
    # The callee reads message 1.
    callee_ = Symmetric(prologue)
    callee_.mix_hash(s_b_public)
    callee_.mix_key_and_hash(psk0)
    e, e1, s, payload = take(first, 32, 1184 + 16, 32 + 16)
    same("the caller's ephemeral key", e, e_a.public_key().public_bytes_raw())
    callee_.mix_hash(e)
    callee_.mix_key(e)
    callee_.mix_key(dh(s_b, e))
    kem_public = callee_.open(e1)
    same("the ML-KEM key", kem_public, kem.public_key().public_bytes_raw())
    static = callee_.open(s)
    same("the caller's static key", static, s_a_public)
    callee_.mix_key(dh(s_b, static))
    payload1 = callee_.open(payload)
    # The caller, who has the same state now, reads message 2.
    caller_ = callee_
    e, ct, payload = take(second, 32, 1088 + 16)
    caller_.mix_hash(e)
    caller_.mix_key(e)
    caller_.mix_key(dh(e_a, e))
    caller_.mix_key(kem.decapsulate(caller_.open(ct)))
    caller_.mix_key(dh(s_a, e))
    payload2 = caller_.open(payload)
    return payload1, payload2, caller_.h, caller_.split()


def frames(data):
    while data:
        length = int.from_bytes(data[:2])
        yield data[2 : 2 + length]
        data = data[2 + length :]


def first_frame(text):
    return next(frames(unhex(text)))


def check_handshake(people):
    v = load("handshake")
    (_, s_a, id_a, pub_a, _), (_, s_b, id_b, pub_b, cert_b) = people
    exporter, psk0 = unhex(v["exporter"]), unhex(v["psk0"])
    prologue = b"kring/1\0\0" + exporter
    same("prologue", prologue.hex(), v["prologue"])
    same("hint", hmac256(psk0, b"kring hint", exporter)[:16].hex(), v["hint"])
    hello = first_frame(v["frame with hint and message 1"])
    same("hint in the frame", hello[:16].hex(), v["hint"])
    draws = v["caller draws"]
    drawn = {"e_a": unhex(draws["X25519 ephemeral secret"]), "kem": unhex(draws["ML-KEM-768 seed d ‖ z"])}
    second = first_frame(v["frame with message 2"])
    one, two, h, channels = handshake(prologue, psk0, (id_a, s_a), (id_b, s_b), drawn, hello[16:], second)
    one, two = fields(one), fields(two)
    same("call id", get(one, 1).hex(), draws["call id"])
    same("time", number(get(one, 2)), int(v["time"]))
    same("versions", [number(value) for kind, value in one if kind == 3], [1])
    same("the chosen version", number(get(two, 3)), 1)
    same("the callee's certificate", certificate_holds(get(two, 4), pub_b, id_b, int(v["time"])), True)
    same("handshake hash", h.hex(), v["handshake hash"])
    confirm = fields(channels[0].open(first_frame(v["frame with confirm"])))
    same("the caller's certificate", certificate_holds(get(confirm, 4), pub_a, id_a, int(v["time"])), True)
    same("offer", get(confirm, 5).hex(), v["offer in confirm"])
    done("5    hint, messages 1 and 2, confirm; the handshake hash")
    return prologue, psk0, drawn, hello[16:], second, get(one, 1)


SECRET = {5, 20, 30, 40}
KNOWN = {*range(1, 19), 20, 21, 30, 31, 32, 34, 40, 41, 42}


def message(plaintext):
    known = [(kind, value) for kind, value in fields(plaintext) if kind in KNOWN]
    if len(known) > 1:
        raise Malformed("two known messages")
    for kind, value in known:
        judge(kind, fields(value))
    return known[0] if known else None


def judge(kind, parts):
    """What section 7.2 wants of a message's fields, offers apart."""

    def numbers(*kinds):
        for n in kinds:
            if get(parts, n) is None:
                raise Malformed("a field is missing")
            number(get(parts, n))

    def lengths(**wanted):
        for name, length in wanted.items():
            if len(get(parts, int(name[1:])) or b"") != length:
                raise Malformed("a field of another length")

    if kind in (3, 4, 9):
        numbers(1)
    elif kind in (7, 8):
        numbers(1, 2) if kind == 7 else numbers(1)
        if number(get(parts, 1)) > 14 or (kind == 7 and number(get(parts, 2)) > 2):
            raise Malformed("no such track or state")
    elif kind == 5:
        numbers(1, 2, 3)
        lengths(f4=32, f5=64)
    elif kind in (10, 11, 12, 14, 15):
        lengths(f1=32)
    elif kind in (16, 17):
        lengths(f1=64)
    elif kind == 20:
        lengths(f1=32, f2=136)
    elif kind == 21:
        addresses = [(k, v) for k, v in parts if k in (4, 6)]
        if len(addresses) > 8 or any(len(v) != {4: 6, 6: 18}[k] or v[-2:] == b"\0\0" for k, v in addresses):
            raise Malformed("addresses")
    elif kind == 40:
        lengths(f1=6, f2=18)
        candidates = [v for k, v in parts if k in (10, 11, 12)]
        if len(candidates) > 16 or any(len(v) not in (10, 22) for v in candidates):
            raise Malformed("candidates")
        if any(v[:4] == bytes(4) or v[-2:] == bytes(2) for v in candidates):
            raise Malformed("a candidate without priority or port")
    elif kind == 41:
        lengths(f1=16)
    elif kind == 42:
        relays = [(k, v) for k, v in parts if k in (7, 8)]
        if len(relays) != 1:
            raise Malformed("one relay")
        judge_relay(*relays[0])
    elif kind in (30, 31):
        numbers(1)
    elif kind == 34:
        numbers(1)
        if number(get(parts, 1)) > 255:
            raise Malformed("no such rotation")


def check_session(people, begun):
    v = load("session")
    (_, s_a, id_a, _, _), (_, s_b, id_b, _, _) = people
    prologue, psk0, drawn, first, second, call_id = begun
    _, _, h, (of_caller, of_callee) = handshake(prologue, psk0, (id_a, s_a), (id_b, s_b), drawn, first, second)
    same("handshake hash", h.hex(), v["handshake hash"])
    of_caller.open(first_frame(v["frame with confirm"]))
    channel = {"caller": of_caller, "callee": of_callee}
    following, said, nonces, kept = {}, [], {}, {}
    left_out = {"caller", "callee"}
    for step in v["steps"]:
        for sent in step["stream"]:
            for frame in frames(unhex(sent["bytes"])):
                who = sent["from"]
                if step["what"].startswith("after an hour") and who in left_out:
                    left_out.remove(who)
                    # A sender key, after which this direction rekeys, and a key taken, every five minutes.
                    for _ in range(10):
                        channel[who].rekey()
                        channel[who].n += 2
                kind, value = message(channel[who].open(frame))
                if kind in SECRET:
                    channel[who].rekey()
                said.append((who, kind))
                parts = fields(value) if kind != 2 else []
                if kind == 5:
                    epoch, rotation, leaf = (number(get(parts, n)) for n in (1, 2, 3))
                    statement = sender_key_statement(call_id, h, epoch, rotation, leaf, get(parts, 4))
                    owner = Ed25519PublicKey.from_public_bytes(id_a if who == "caller" else id_b)
                    owner.verify(get(parts, 5), statement)
                    same("leaf", leaf, 1 if who == "caller" else 0)
                elif kind in (10, 11, 12):
                    nonces[kind] = get(parts, 1)
                elif kind == 30:
                    same("counter", number(get(parts, 1)), 1)
                    renewal_psk = hkdf(h, get(parts, 4), b"kring renewal psk")
                    kept = {"psk": renewal_psk, "first": get(parts, 5), "prologue": b"kring/1\0\1" + (1).to_bytes(8) + h}
                    # What the caller drew in this step, in order: seed, then the handshake's own.
                    kept["draws"] = [unhex(d) for d in step["caller draws"]]
                elif kind == 31:
                    draws = kept["draws"]
                    seed = next(d for d in draws if len(d) == 64)
                    e_a = next(d for d in draws if len(d) == 32 and public_of(d) == kept["first"][:32])
                    new = handshake(
                        kept["prologue"], kept["psk"], (id_a, s_a), (id_b, s_b),
                        {"e_a": e_a, "kem": seed}, kept["first"], get(parts, 5),
                    )
                    following = {"caller": new[3][0], "callee": new[3][1]}
                    channel["callee"] = following["callee"]
                elif kind == 32:
                    channel["caller"] = following["caller"]
    same("the first to speak", said[0][1], 5)
    same("commitment", sha256(b"kring code commitment", h, nonces[12]), nonces[10])
    same("renewals", [kind for _, kind in said if kind in (30, 31, 32)], [30, 31, 32])
    same("the last word", said[-1], ("caller", 4))
    done("6    rekeying after each secret; 6.1 a handshake inside the session; 7.2 messages; 8 sender keys, signed")


def public_of(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def check_control():
    v = load("control")
    for vector in v["messages"]:
        message(unhex(vector["plaintext with GREASE behind it"]))
    for vector in v["refused"]:
        try:
            message(unhex(vector["plaintext"]))
        except Malformed:
            continue
        sys.exit(f"FAILED a control message was taken: {vector['why']}")
    for plaintext in v["passed over"]:
        same("passed over", message(unhex(plaintext)), None)
    done("7    control messages; what is refused")


# Sections 8 to 10


def room_id(call_id):
    return sha256(b"kring direct call", call_id)


def sender_key_statement(call_id, h, epoch, rotation, leaf, c):
    label = b"kring sender key commitment"
    place = epoch.to_bytes(8) + bytes([rotation, leaf])
    return label + room_id(call_id) + h + place + sha256(b"kring sender key", c)


def sframe_keys(base_key, kid):
    # RFC 9605, section 4.4.2, cipher suite 5.
    secret = hmac.new(b"", base_key, hashlib.sha512).digest()
    end = kid.to_bytes(8) + (5).to_bytes(2)
    key = expand(secret, b"SFrame 1.0 Secret key " + end, 32, hashlib.sha512)
    salt = expand(secret, b"SFrame 1.0 Secret salt " + end, 12, hashlib.sha512)
    return key, salt


def sframe_open(key, salt, kid, metadata, data):
    config, at = data[0], 1
    values = []
    for bits in (config >> 4, config & 15):
        if bits & 8:
            n = (bits & 7) + 1
            values.append(int.from_bytes(data[at : at + n]))
            at += n
        else:
            values.append(bits)
    same("KID", values[0], kid)
    nonce = bytes(a ^ b for a, b in zip(salt, values[1].to_bytes(12)))
    return values[1], AESGCM(key).decrypt(nonce, data[at:], data[:at] + metadata)


def bundle(body):
    """The codec's packet and the copies of section 9."""
    count, at = body[0], 1
    if count > 8:
        raise Malformed("too many copies")
    own, at = varint(body, at)
    copies, before = [], 0
    for _ in range(count):
        offset, at = body[at], at + 1
        if not before < offset <= 16:
            raise Malformed("offsets out of order")
        before = offset
        earlier, at = varint(body, at)
        duration, level, at = body[at], body[at + 1], at + 2
        if not 1 <= duration < 64 or level > 127:
            raise Malformed("duration or level")
        length, at = varint(body, at)
        copies.append([offset, earlier, length])
    packets = []
    for length in [own] + [copy[2] for copy in copies]:
        if at + length > len(body):
            raise Malformed("cut short")
        packets.append(body[at : at + length])
        at += length
    if any(body[at:]):
        raise Malformed("no zeros")
    return packets


def whole(datagrams):
    """A frame from its datagrams, without parity: header and SFrame."""
    parts = {}
    for data in map(unhex, datagrams):
        if data[0] >> 6:
            raise Malformed("no media")
        at, index, count = 6, 0, 1
        if data[0] & 0x20:
            _, at = varint(data, at)
            index, at = varint(data, at)
            count, at = varint(data, at)
        _, end = varint(data, at + 1)
        header = data[at:end]
        if index < count:
            parts[index] = data[end:]
    return header, b"".join(parts[n] for n in range(count))


def check_media():
    v = load("media")
    c, h = unhex(v["c"]), unhex(v["roster hash"])
    same("room id", room_id(unhex(v["call id"])).hex(), v["room id"])
    statement = sender_key_statement(unhex(v["call id"]), h, 0, 0, 1, c)
    same("statement", statement.hex(), v["signed statement"])
    for name in ("sound", "pictures", "report"):
        track = v[name]
        kid = int(track["KID"])
        base_key = expand(c, b"kring media" + unhex(v["room id"]) + h + kid.to_bytes(8))
        same("base_key", base_key.hex(), track["base_key"])
        key, salt = sframe_keys(base_key, kid)
        same("SFrame key", key.hex(), track["sframe_key"])
        same("SFrame salt", salt.hex(), track["sframe_salt"])
        for frame in track["frames"]:
            metadata = unhex(frame["frame header"])
            counter, plaintext = sframe_open(key, salt, kid, metadata, unhex(frame["SFrame"]))
            same("counter", counter, int(frame["counter"]))
            if name == "sound":
                same("info and body", plaintext.hex(), frame["info"] + frame["body"])
                bundle(plaintext[7:])
            elif name == "pictures":
                same("info and payload", plaintext.hex(), frame["info"] + frame["payload"])
            else:
                same("report", plaintext.hex(), frame["payload"])
                report = fields(plaintext)
                same("counts", all(get(report, n) is not None for n in range(1, 9)), True)
            header, sealed = whole(frame["datagrams"])
            same("datagrams", (header, sealed), (metadata, unhex(frame["SFrame"])))
    for vector in v["malformed bodies"]:
        try:
            bundle(unhex(vector["body"]))
        except (Malformed, IndexError):
            continue
        sys.exit(f"FAILED a body was taken: {vector['why']}")
    done("8    base_key, SFrame keys; 9 audio bodies, infos, reports; 10 datagrams put together")


# Section 7.5: CPace (draft-irtf-cfrg-cpace-21) over ristretto255 (RFC 9496), on edwards25519 in affine coordinates

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1)


def is_negative(x):
    return x % P & 1


def absolute(x):
    return P - x % P if is_negative(x) else x % P


def sqrt_ratio(u, v):
    """Whether u/v is a square, and its root, or that of ROOT times it (RFC 9496, section 4.2)."""
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in (-u % P, -u * ROOT % P):
        r = r * ROOT % P
    return check in (u % P, -u % P), absolute(r)


A_MINUS_D = sqrt_ratio(1, -1 - D)[1]  # 1 / sqrt(a - d), a = -1
AD_MINUS_ONE = P - sqrt_ratio(-D - 1, 1)[1]  # sqrt(a*d - 1), the root that RFC 9496 has


def add(p, q):
    (x1, y1), (x2, y2) = p, q
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + y1 * x2) * pow(1 + k, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - k, -1, P)
    return x % P, y % P


def times(n, p):
    out = NEUTRAL
    while n:
        if n & 1:
            out = add(out, p)
        p, n = add(p, p), n >> 1
    return out


def encode(point):
    x, y = point
    u1, u2 = (1 + y) * (1 - y) % P, x * y % P
    _, root = sqrt_ratio(1, u1 * u2 * u2)
    d1, d2 = root * u1 % P, root * u2 % P
    z_inv = d1 * d2 * x * y % P
    if is_negative(x * y * z_inv):
        x, y, d = y * ROOT % P, x * ROOT % P, d1 * A_MINUS_D % P
    else:
        d = d2
    if is_negative(x * z_inv):
        y = -y % P
    return absolute(d * (1 - y)).to_bytes(32, "little")


def decode(data):
    s = int.from_bytes(data, "little")
    if s >= P or is_negative(s):
        raise Malformed("no element of ristretto255")
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, root = sqrt_ratio(1, v * u2 * u2)
    d1 = root * u2 % P
    x, y = absolute(2 * s * d1), u1 * root * d1 * v % P
    if not square or is_negative(x * y) or y == 0:
        raise Malformed("no element of ristretto255")
    return x, y


def elligator(data):
    t = int.from_bytes(data, "little") % 2**255 % P
    r = ROOT * t * t % P
    u, v = (r + 1) * (1 - D * D) % P, (-1 - r * D) * (r + D) % P
    square, s = sqrt_ratio(u, v)
    s, c = (s, P - 1) if square else (-absolute(s * t) % P, r)
    n = (c * (r - 1) * (D - 1) ** 2 - v) % P
    w0, w1, w2, w3 = 2 * s * v % P, n * AD_MINUS_ONE % P, (1 - s * s) % P, (1 + s * s) % P
    return w0 * pow(w1, -1, P) % P, w2 * pow(w3, -1, P) % P


def lv(*parts):
    if any(len(part) > 127 for part in parts):
        raise Malformed("lengths beyond one byte do not come here")
    return b"".join(bytes([len(part)]) + part for part in parts)


def check_cpace(v):
    prs, sid = unhex(v["PRS"]), unhex(v["sid"])
    dsi = b"CPaceRistretto255"
    padding = bytes(128 - 1 - len(lv(prs)) - len(lv(dsi)))
    h = hashlib.sha512(lv(dsi, prs, padding, b"kring/1", sid)).digest()
    generator = add(elligator(h[:32]), elligator(h[32:]))
    scalars = [
        int.from_bytes(unhex(v[f"drawn by the {who}"][0]), "little") % 2**252 for who in ("caller", "callee")
    ]
    shares = [encode(times(n, generator)) for n in scalars]
    same("Ya", shares[0].hex(), v["Ya"])
    same("Yb", shares[1].hex(), v["Yb"])
    points = [encode(times(scalars[n], decode(shares[1 - n]))) for n in (0, 1)]
    same("the shared point", points[0], points[1])
    ads = [role + unhex(v[f"fingerprint of the {role.decode()}"]) for role in (b"caller", b"callee")]
    ends = [lv(share, ad) for share, ad in zip(shares, ads)]
    isk = hashlib.sha512(lv(dsi + b"_ISK", sid, points[0]) + ends[0] + ends[1]).digest()
    mac_key = hashlib.sha512(b"CPaceMac" + sid + isk).digest()
    for name, end in zip(("Ta", "Tb"), ends):
        same(name, hmac.new(mac_key, end, hashlib.sha512).hexdigest(), v[name])


# Sections 7.5, 12


def check_the_rest():
    v = load("contact")
    secrets = "".join(v[name] for name in ("psk0 of the call", "r of the caller", "r of the callee"))
    psk0 = hkdf(unhex(v["handshake hash"]), unhex(secrets), b"kring contact psk")
    same("new psk0", psk0.hex(), v["new psk0"])
    noise = unhex(load("identity")["people"][0]["X25519 secret"])
    salt = sha256(b"kring contact key id", psk0)[:8]
    mailbox = public_of_seed(hkdf(salt, noise, b"kring contact mailbox"))
    same("mailbox", mailbox.hex(), v["mailbox where the caller waits for the callee"])
    for name in ("tickets", "contacts"):
        data = unhex(v[name])
        same(name, sha256(data[:-8])[:8], data[-8:])
    done("12   a contact's secret; 13 checksums of the lists")
    v = load("passcode")
    kdf = Argon2id(salt=unhex(v["ticket id"]), length=32, iterations=3, lanes=4, memory_cost=65_536)
    same("PRS", kdf.derive(v["passcode"].encode()).hex(), v["PRS"])
    check_cpace(v)
    done("7.5  the passcode's key, and CPace: shares and tags")


# Section 14

# What each message of a relay's control stream has to have; the first that it is about, of several.
RELAY = {
    1: (1, 6), 2: (1,), 3: (2, 1), 4: (2, 5), 5: (3,), 6: (11,),
    16: (10,), 17: (1,), 18: (3, 4, 5), 19: (7,), 20: (3, 7), 21: (8,), 22: (11,),
}  # fmt: skip
RELAY_LENGTHS = {1: 32, 3: 8, 4: 32, 5: 32, 6: 64, 10: 18}


def relay_message(frame):
    length, kind = int.from_bytes(frame[:2]), frame[2]
    if not 1 <= length <= 2049 or length != len(frame) - 2 or kind != 0:
        raise Malformed("no frame of a message")
    known = [(k, v) for k, v in fields(frame[3:]) if k in RELAY]
    if len(known) != 1:
        raise Malformed("one known message")
    (kind, value) = known[0]
    parts = fields(value)
    for k, v in parts:
        if k in RELAY_LENGTHS and len(v) != RELAY_LENGTHS[k]:
            raise Malformed("a field of another length")
        if k in (2, 7, 8, 11):
            number(v)
    if any(get(parts, k) is None for k in RELAY[kind]):
        raise Malformed("a field is missing")
    return kind, parts


def check_relay():
    v = load("relay")
    mailbox = public_of_seed(unhex(v["mailbox seed"]))
    same("mailbox", mailbox.hex(), v["mailbox"])
    signed = b"kring relay listen 1" + unhex(v["pin"]) + unhex(v["exporter"])
    Ed25519PublicKey.from_public_bytes(mailbox).verify(unhex(v["signature"]), signed)
    kinds = set()
    for vector in v["messages"]:
        kind, parts = relay_message(unhex(vector["frame"]))
        kinds.add(kind)
        if kind == 1:
            same("signature", get(parts, 6).hex(), v["signature"])
    same("every message of section 14.1", kinds, set(RELAY))
    for vector in v["refused"]:
        try:
            relay_message(unhex(vector["frame"]))
        except Malformed:
            continue
        sys.exit(f"FAILED a relay's message was taken: {vector['why']}")
    token, secret = unhex(v["token"]), unhex(v["secret"])
    for vector in v["packets"]:
        data = unhex(vector["bytes"])
        same("token", data[1:9], token)
        if data[0] == 0x10:
            continue
        same("length", len(data), 60)
        same("MAC", data[44:].hex(), hmac256(secret, data[:44])[:16].hex())
        if data[0] == 0x11:
            same("zeros", data[25:44], bytes(19))
        else:
            same("address", data[26:44], bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]) + (4433).to_bytes(2))
    same("session", sha256(b"kring session", unhex(v["resume"]))[:16].hex(), v["name of the session"])
    done("14   a relay's messages and packets; 7.6 a session's name")


def check_finding():
    v = load("find")
    who, ticket_psk0, psk0 = (unhex(v[name]) for name in ("fingerprint", "psk0 of the ticket", "psk0 of the contact"))
    nonce, *fill = v["drawn for the record: nonce, tags to fill up"]
    record = unhex(v["record"])
    same("version and nonce", record[:17], b"\x01" + unhex(nonce))
    at = 18
    for _ in range(record[17]):
        at += 2 + record[at + 1]
    tags = [record[n : n + 8] for n in range(at, len(record), 8)]
    own = [hmac256(hkdf(who, secret, b"kring lan"), b"kring lan tag", record[:at])[:8] for secret in (ticket_psk0, psk0)]
    same("tags", tags, sorted(own + [unhex(tag) for tag in fill]))
    done("15.1 a record on the local network")
    salt = who + v["day"].to_bytes(8)
    seed, seal = hkdf(salt, psk0, b"kring dht key"), hkdf(salt, psk0, b"kring dht seal")
    same("seed", seed.hex(), v["seed"])
    same("place", Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex(), v["place"])
    value = unhex(v["value"])
    same("length", len(value), 289)
    plain = ChaCha20Poly1305(seal).decrypt(value[1:13], value[13:], b"\x01")
    relay = b"\x66" * 32 + b"\x55" * 32 + b"relay.example:443"
    same("relay", plain, (bytes([8, len(relay)]) + relay).ljust(260, b"\0"))
    done("15.2 a value in the DHT")


def main():
    people = check_identities()
    check_tickets()
    begun = check_handshake(people)
    check_session(people, begun)
    check_control()
    check_media()
    check_the_rest()
    check_finding()
    check_relay()


main()
