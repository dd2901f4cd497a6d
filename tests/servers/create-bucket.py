#!/usr/bin/env python3
"""Wait until an S3 endpoint answers, create a bucket in it, and wait until that takes an object.

    create-bucket.py ENDPOINT REGION BUCKET [--wait SECONDS]

Keys come from CIDBUCKET_TEST_ACCESS_KEY and CIDBUCKET_TEST_SECRET_KEY. Only the standard library is
used, and nothing of cidbucket: a fault in our signer must fail a test, not the start of a server.
"""

import argparse
import hashlib
import hmac
import http.client
import os
import sys
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit


def request(method, path, body, endpoint, region, access_key, secret_key):
    """One request signed by AWS Signature Version 4, as an HTTP status and a body."""
    host = urlsplit(endpoint).netloc
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    payload = hashlib.sha256(body).hexdigest()
    signed = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": now}
    names = ";".join(signed)
    canonical_headers = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = f"{method}\n{path}\n\n{canonical_headers}\n{names}\n{payload}"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = ("AWS4" + secret_key).encode()
    for part in (now[:8], region, "s3", "aws4_request", to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers = dict(signed)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("endpoint")
    parser.add_argument("region")
    parser.add_argument("bucket")
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for an answer")
    args = parser.parse_args()
    keys = os.environ["CIDBUCKET_TEST_ACCESS_KEY"], os.environ["CIDBUCKET_TEST_SECRET_KEY"]
    deadline = time.monotonic() + args.wait

    def until(answers, method, path, body=b""):
        while True:
            status, text = request(method, path, body, args.endpoint, args.region, *keys)
            if answers(status, text):
                return
            if time.monotonic() > deadline:
                sys.exit(f"create-bucket: {method} {args.endpoint}{path}: {status} {text}")
            time.sleep(0.2)

    until(
        lambda status, text: status in (200, 204)
        or "BucketAlreadyOwnedByYou" in text
        or "BucketAlreadyExists" in text,
        "PUT",
        f"/{args.bucket}",
    )
    until(lambda status, _: status == 200, "PUT", f"/{args.bucket}/started", b"started")
    until(lambda status, _: status in (200, 204), "DELETE", f"/{args.bucket}/started")


if __name__ == "__main__":
    main()
