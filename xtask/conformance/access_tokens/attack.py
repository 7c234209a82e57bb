"""Access tokens that an attacker mints, with pyjwt, jwcrypto and joserfc: every one of them must be refused with 401.

Each library also signs what the auth service would sign, which must pass: so a refusal is one of the attack. The signing key
is read for that, and for attacks with a good signature over bad contents, which are the strongest there are.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

import jwt as pyjwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwe as jr_jwe
from joserfc import jws as jr_jws
from joserfc.jwk import OctKey, OKPKey, RSAKey
from jwcrypto import jwe as jc_jwe
from jwcrypto import jwk as jc_jwk
from jwcrypto import jws as jc_jws

API = os.environ["API_URL"]
CATCHER = os.environ["MAIL_CATCHER_URL"]
PEM = open(os.environ["AUTH_SIGNING_KEY_FILE"], "rb").read()
PASSWORD = "correct horse battery staple"


def ask(method, url, body=None, token=None):
    """(status, headers, JSON or None) of a request."""
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as refused:
        text = refused.read()
        return refused.code, refused.headers, json.loads(text) if text else None


def mailed_token(email):
    for _ in range(300):
        mails = ask("GET", f"{CATCHER}/api/v1/messages?limit=1000")[2]["messages"]
        for mail in mails:
            if mail["To"][0]["Address"] == email:
                text = ask("GET", f"{CATCHER}/api/v1/message/{mail['ID']}")[2]["Text"]
                return text.split("token=")[1].split()[0]
        time.sleep(0.1)
    sys.exit("no verification mail has arrived")


def sign_in():
    """A session of a new organisation's owner, by the road that everybody takes."""
    email = f"owner-{uuid.uuid4().hex}@conformance.example"
    who = {"organization": "Conformance", "name": "Ada", "email": email, "password": PASSWORD}
    assert ask("POST", f"{API}/v1/auth/register", who)[0] == 201
    assert ask("POST", f"{API}/v1/auth/verify_email", {"token": mailed_token(email)})[0] == 200
    status, _, session = ask("POST", f"{API}/v1/auth/login", {"email": email, "password": PASSWORD})
    assert status == 200, session
    return session


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


SESSION = sign_in()
GOOD = SESSION["access_token"]
HEADER = json.loads(unb64(GOOD.split(".")[0]))
CLAIMS = json.loads(unb64(GOOD.split(".")[1]))
KEY = serialization.load_pem_private_key(PEM, None)
PUBLIC = KEY.public_key()
PUBLIC_PEM = PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PUBLIC_RAW = PUBLIC.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
ATTACKER = ed25519.Ed25519PrivateKey.generate()
ATTACKER_PEM = ATTACKER.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
ATTACKER_JWK = jc_jwk.JWK.from_pem(ATTACKER_PEM)
NOW = int(time.time())


def claims(**changes):
    """The good claims, renewed and changed; a change to None removes one."""
    changed = {**CLAIMS, "iat": NOW, "exp": NOW + 600, "jti": uuid.uuid4().hex, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def by_pyjwt(payload, header=None, key=KEY, alg="EdDSA"):
    extra = {name: value for name, value in {**HEADER, **(header or {})}.items() if name != "alg"}
    return pyjwt.encode(payload, key, algorithm=alg, headers=extra)


def by_jwcrypto(payload, header=None, key=None, alg="EdDSA"):
    token = jc_jws.JWS(json.dumps(payload))
    protected = {**HEADER, "alg": alg, **(header or {})}
    token.allowed_algs = [alg]
    token.add_signature(key or jc_jwk.JWK.from_pem(PEM), alg, json.dumps(protected))
    return token.serialize(compact=True)


def by_joserfc(payload, header=None, key=None, alg="EdDSA"):
    protected = {**HEADER, "alg": alg, **(header or {})}
    registry = jr_jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jr_jws.serialize_compact(protected, json.dumps(payload), key or OKPKey.import_key(PEM), registry=registry)


def raw(header, payload, key=KEY):
    """A good signature over whatever these texts are."""
    message = f"{b64(header.encode())}.{b64(payload.encode())}"
    return f"{message}.{b64(key.sign(message.encode()))}"


def oct_key(secret):
    # As a JWK: from bytes the library itself refuses a public key, which is the attack.
    return OctKey.import_key({"kty": "oct", "k": b64(secret)})


def attacks():
    """(name, token) of every attack."""
    minters = {"pyjwt": by_pyjwt, "jwcrypto": by_jwcrypto, "joserfc": by_joserfc}
    wrong_claims = {
        "another issuer": {"iss": "https://evil.example"},
        "another audience": {"aud": "other-api"},
        "a list of audiences": {"aud": [CLAIMS["aud"], "other-api"]},
        "no issuer": {"iss": None},
        "no audience": {"aud": None},
        "no subject": {"sub": None},
        "no tenant": {"tenant": None},
        "no session": {"sid": None},
        "no expiry": {"exp": None},
        "no issue time": {"iat": None},
        "expired": {"iat": NOW - 1200, "exp": NOW - 600},
        "expired just beyond the leeway": {"iat": NOW - 632, "exp": NOW - 32},
        "not yet valid": {"nbf": NOW + 300},
        "issued in the future": {"iat": NOW + 300, "exp": NOW + 900},
        "a long life": {"exp": NOW + 86400},
        "an expiry that is text": {"exp": str(NOW + 600)},
        "a negative expiry": {"exp": -1},
        "an unknown role": {"role": "root"},
        "another tenant": {"tenant": "ten_another"},
        "another user": {"sub": "usr_another"},
        "another session": {"sid": "ses_another"},
    }
    wrong_headers = {
        "no type": {"typ": "JWT"},
        "the type of a refresh token": {"typ": "rt+jwt"},
        "an unknown key": {"kid": "unknown"},
        "a key that is a path": {"kid": "../../dev/null"},
        "a key that is a query": {"kid": "' OR 1=1 --"},
        "an empty key": {"kid": ""},
        "jku": {"jku": "https://evil.example/jwks.json"},
        "x5u": {"x5u": "https://evil.example/cert.pem"},
        "an embedded key": {"jwk": json.loads(ATTACKER_JWK.export_public())},
        "a content type": {"cty": "JWT"},
    }
    for library, mint in minters.items():
        for name, changes in wrong_claims.items():
            yield f"{library}: {name}", mint(claims(**changes))
        for name, header in wrong_headers.items():
            yield f"{library}: {name}", mint(claims(), header)
    # Signed by somebody else, under our key's name, and with the key that is sent along.
    embedded = {"jwk": json.loads(ATTACKER_JWK.export_public())}
    for header in ({}, embedded, {**embedded, "kid": ATTACKER_JWK.thumbprint()}):
        yield f"pyjwt: an attacker's key {header}", by_pyjwt(claims(), header, ATTACKER)
        yield f"jwcrypto: an attacker's key {header}", by_jwcrypto(claims(), header, ATTACKER_JWK)
        yield f"joserfc: an attacker's key {header}", by_joserfc(claims(), header, OKPKey.import_key(ATTACKER_PEM))
    # No signature at all.
    yield "pyjwt: none", pyjwt.encode(claims(), None, algorithm="none", headers={"typ": "at+jwt", "kid": HEADER["kid"]})
    yield "joserfc: none", by_joserfc(claims(), key=OctKey.import_key(b"x" * 32), alg="none")
    for spelling in ("none", "None", "NONE", "nOnE", ""):
        unsigned = f"{b64(json.dumps({**HEADER, 'alg': spelling}).encode())}.{b64(json.dumps(claims()).encode())}."
        yield f"{spelling!r} without a signature", unsigned
        yield f"{spelling!r} with the good signature", unsigned + GOOD.split(".")[2]
    # The public key as the secret of a symmetric algorithm.
    for form, secret in {"PEM": PUBLIC_PEM, "raw": PUBLIC_RAW, "base64": b64(PUBLIC_RAW).encode()}.items():
        symmetric = jc_jwk.JWK(kty="oct", k=b64(secret))
        for alg in ("HS256", "HS384", "HS512"):
            yield f"jwcrypto: {alg} with the public key, {form}", by_jwcrypto(claims(), key=symmetric, alg=alg)
            yield f"joserfc: {alg} with the public key, {form}", by_joserfc(claims(), key=oct_key(secret), alg=alg)
    # Other algorithms, by keys of theirs.
    curve = ec.generate_private_key(ec.SECP256R1())
    big = rsa.generate_private_key(65537, 2048)
    yield "pyjwt: ES256", by_pyjwt(claims(), key=curve, alg="ES256")
    yield "pyjwt: RS256", by_pyjwt(claims(), key=big, alg="RS256")
    yield "pyjwt: PS256", by_pyjwt(claims(), key=big, alg="PS256")
    # Extensions that must be understood.
    yield "crit", raw(json.dumps({**HEADER, "crit": ["exp"], "exp": NOW + 600}), json.dumps(claims()))
    yield "crit with b64", raw(json.dumps({**HEADER, "crit": ["b64"], "b64": False}), json.dumps(claims()))
    yield "an empty crit", raw(json.dumps({**HEADER, "crit": []}), json.dumps(claims()))
    # Encrypted tokens.
    recipient = jc_jwk.JWK.from_pem(
        big.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    sealed = jc_jwe.JWE(GOOD.encode(), json.dumps({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT"}),
                          recipient=recipient)
    yield "jwcrypto: JWE around the good token", sealed.serialize(compact=True)
    yield "joserfc: JWE", jr_jwe.encrypt_compact(
        {"alg": "RSA-OAEP", "enc": "A128CBC-HS256"}, json.dumps(claims()), RSAKey.import_key(big.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)))
    yield "jwcrypto: dir with the public key", jc_jwe.JWE(
        json.dumps(claims()), json.dumps({"alg": "dir", "enc": "A256GCM"}),
        recipient=jc_jwk.JWK(kty="oct", k=b64(PUBLIC_RAW))
    ).serialize(compact=True)
    # A good signature over texts that two readers read differently.
    good, header = json.dumps(claims()), json.dumps(HEADER)
    yield "a claim twice", raw(header, good[:-1] + f', "sub": "{CLAIMS["sub"]}"' + "}")
    yield "a tenant twice", raw(header, good[:-1] + ', "tenant": "ten_another"}')
    yield "a header member twice", raw(header[:-1] + ', "alg": "EdDSA"}', good)
    yield "claims that are a list", raw(header, f"[{good}]")
    yield "claims with something after them", raw(header, good + "{}")
    yield "claims that are no JSON", raw(header, "sub=usr_1")
    # The good token, bent.
    head, body, signature = GOOD.split(".")
    yield "another payload", f"{head}.{b64(json.dumps(claims(role='owner', sub='usr_x')).encode())}.{signature}"
    yield "a cut signature", GOOD[:-4]
    yield "an empty signature", f"{head}.{body}."
    yield "a longer signature", GOOD + "AAAA"
    yield "padding", GOOD + "=="
    yield "two parts", f"{head}.{body}"
    yield "four parts", f"{GOOD}.{signature}"
    yield "a zero signature", f"{head}.{body}.{b64(bytes(64))}"
    yield "JSON serialisation", json.dumps({"payload": body, "protected": head, "signature": signature})
    # Other credentials, and no credentials.
    yield "the refresh token", SESSION["refresh_token"]
    yield "nothing", ""
    yield "a megabyte of letters", "A" * (1 << 20)
    yield "a megabyte of claims", by_pyjwt(claims(padding="x" * (1 << 20)))
    yield "a thousand dots", "." * 1000


def is_refused(token):
    try:
        status, headers, body = ask("GET", f"{API}/v1/customers", token=token)
    except (ConnectionError, urllib.error.URLError):
        # A header of a megabyte is refused before it is read.
        return len(token) > 1 << 16
    problem = headers.get("content-type") == "application/problem+json" and headers.get("www-authenticate")
    return (status == 401 and bool(problem) and body["status"] == 401) or (status == 431 and len(token) > 1 << 16)


def main():
    broken = []
    for library, token in {
        "the auth service": GOOD, "pyjwt": by_pyjwt(claims()), "jwcrypto": by_jwcrypto(claims()), "joserfc": by_joserfc(claims()),
    }.items():
        status = ask("GET", f"{API}/v1/customers", token=token)[0]
        if status != 200:
            broken.append(f"a good token of {library} is answered {status}")
    total = 0
    for name, token in attacks():
        total += 1
        if not is_refused(token):
            broken.append(f"not refused: {name}")
    if ask("GET", f"{API}/v1/customers", token=GOOD)[0] != 200:
        broken.append("the good token is refused afterwards")
    for line in broken:
        print(f"  {line}")
    print(f"  {total - sum('not refused' in line for line in broken)} of {total} attacks are refused")
    sys.exit(1 if broken else 0)


main()
