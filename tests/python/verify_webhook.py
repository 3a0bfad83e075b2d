"""The description's own check of a signature, on what was posted.

Usage: verify_webhook.py SECRET SIGNATURE < BODY
"""

import sys

import hmac
import hashlib

def verify_webhook(request, secret):
    signature = request.headers.get("X-Webhook-Signature", "")
    body = request.get_data()

    expected = "sha256=" + hmac.new(
        secret.encode(),
        body,
        hashlib.sha256
    ).hexdigest()

    return hmac.compare_digest(signature, expected)


class Request:
    def __init__(self, signature, body):
        self.headers = {"X-Webhook-Signature": signature}
        self.get_data = lambda: body


if __name__ == "__main__":
    secret, signature = sys.argv[1:]
    request = Request(signature, sys.stdin.buffer.read())
    sys.exit(0 if verify_webhook(request, secret) else 1)
