#!/usr/bin/env python3
"""Check an S3 server of ours with AWS's own tools.

    check.py AWS SERVER [ARGUMENT…]

AWS is the `aws` program. SERVER is started with a data folder as its last argument, and says in one
JSON line on its standard output where it is. Prints a line a check; exits with 1 if one failed.
"""

import base64
import filecmp
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
import zlib

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from botocore.httpsession import URLLib3Session

AWS, *SERVER = sys.argv[1:]
MIB = 1024 * 1024


class Server:
    """A running server over a data folder."""

    def __init__(self, folder):
        self.folder = folder
        self.start()

    def start(self):
        command = [*SERVER, os.path.join(self.folder, "data")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command[0]} ended with {self.process.wait()} and said nothing")
        ready = json.loads(line)
        self.endpoint, self.bucket, self.region = (
            ready[name] for name in ["endpoint", "bucket", "region"]
        )
        self.credentials = Credentials(ready["access_key"], ready["secret_key"])
        # Nothing of the machine's own settings may play a part.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ready["access_key"],
            "AWS_SECRET_ACCESS_KEY": ready["secret_key"],
            "AWS_DEFAULT_REGION": ready["region"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=ready["region"],
            aws_access_key_id=ready["access_key"],
            aws_secret_access_key=ready["secret_key"],
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
            ),
        )

    def kill(self):
        """As a crash."""
        self.process.kill()
        self.process.wait()

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, size):
        with open(self.path(name), "wb") as file:
            file.write(os.urandom(size))
        return self.path(name)

    def aws(self, *arguments):
        """Runs `aws` and gives what it prints."""
        done = subprocess.run(
            [AWS, *arguments], env=self.environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def refused(code, operation, **arguments):
    """Asserts that an operation fails with this error code."""
    try:
        operation(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"{code} expected, but it succeeded")


def cli_copies_a_small_file(server):
    file, url = server.file("small", 100_000), f"s3://{server.bucket}/cli/a b+ü"
    server.aws("s3", "cp", "--only-show-errors", file, url)
    server.aws("s3", "cp", "--only-show-errors", url, server.path("back"))
    assert filecmp.cmp(file, server.path("back"), shallow=False)
    assert "a b+ü" in server.aws("s3", "ls", f"s3://{server.bucket}/cli/")


def cli_copies_a_large_file_in_parts(server):
    file, url = server.file("large", 20 * MIB + 1), f"s3://{server.bucket}/cli/large"
    server.aws("s3", "cp", "--only-show-errors", file, url)
    server.aws("s3", "cp", "--only-show-errors", url, server.path("back"))
    assert filecmp.cmp(file, server.path("back"), shallow=False)
    assert server.s3.head_object(Bucket=server.bucket, Key="cli/large")["ETag"].endswith('-3"')


def cli_copies_and_moves_within_the_server(server):
    url = f"s3://{server.bucket}/cli"
    server.aws("s3", "cp", "--only-show-errors", f"{url}/large", f"{url}/copy")
    server.aws("s3", "cp", "--only-show-errors", f"{url}/copy", server.path("back"))
    assert filecmp.cmp(server.path("large"), server.path("back"), shallow=False)
    server.aws("s3", "mv", "--only-show-errors", f"{url}/copy", f"{url}/moved")
    refused("404", server.s3.head_object, Bucket=server.bucket, Key="cli/copy")


def cli_syncs_and_removes_a_tree(server):
    os.makedirs(server.path("tree/sub"))
    for number in range(30):
        server.file(f"tree/sub/{number}", number)
    url = f"s3://{server.bucket}/tree"
    server.aws("s3", "sync", "--only-show-errors", server.path("tree"), url)
    assert server.aws("s3", "sync", server.path("tree"), url) == "", "all is there already"
    assert len(server.aws("s3", "ls", "--recursive", url).splitlines()) == 30
    server.aws("s3", "rm", "--only-show-errors", "--recursive", url)
    listed = server.s3.list_objects_v2(Bucket=server.bucket, Prefix="tree")
    assert listed["KeyCount"] == 0


def cli_makes_and_removes_a_bucket(server):
    server.aws("s3", "mb", "s3://made-by-cli")
    assert "made-by-cli" in server.aws("s3", "ls")
    server.aws("s3api", "get-bucket-location", "--bucket", "made-by-cli")
    server.aws("s3", "rb", "s3://made-by-cli")
    assert "made-by-cli" not in server.aws("s3", "ls")


def boto3_puts_with_each_checksum(server):
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        put = server.s3.put_object(
            Bucket=server.bucket,
            Key="checksum",
            Body=b"body",
            ChecksumAlgorithm=algorithm,
            ContentType="text/x",
            CacheControl="immutable",
            Metadata={"origin": "boto3"},
        )
        name = f"Checksum{algorithm}"
        got = server.s3.get_object(Bucket=server.bucket, Key="checksum", ChecksumMode="ENABLED")
        assert got["Body"].read() == b"body" and got[name] == put[name]
        assert (got["ContentType"], got["CacheControl"]) == ("text/x", "immutable")
        assert got["Metadata"] == {"origin": "boto3"}


def boto3_streams_with_a_checksum_in_the_trailer(server):
    # boto3 sends this form over TLS only; these are its own parts for it.
    def put(body, announced=Crc32Checksum):
        length = str(len(body))
        chunked = AwsChunkedWrapper(io.BytesIO(body), announced, "x-amz-checksum-crc32").read()
        headers = {
            "Content-Encoding": "aws-chunked",
            "Content-Type": "text/x",
            "X-Amz-Decoded-Content-Length": length,
            "X-Amz-Trailer": "x-amz-checksum-crc32",
        }
        url = f"{server.endpoint}/{server.bucket}/stream"
        request = AWSRequest("PUT", url, headers, chunked)
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        S3SigV4Auth(server.credentials, "s3", server.region).add_auth(request)
        assert request.headers["X-Amz-Content-SHA256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        return URLLib3Session().send(request.prepare())

    class WrongChecksum(Crc32Checksum):
        def digest(self):
            return b"none"

    body = os.urandom(2 * MIB + 1)
    answer = put(body)
    assert answer.status_code == 200, answer.text
    answer = put(b"other", WrongChecksum)
    assert answer.status_code == 400 and "BadDigest" in answer.text, answer.text
    got = server.s3.get_object(Bucket=server.bucket, Key="stream", ChecksumMode="ENABLED")
    assert got["Body"].read() == body and "ContentEncoding" not in got
    assert base64.b64decode(got["ChecksumCRC32"]) == zlib.crc32(body).to_bytes(4, "big")


def boto3_wrong_digests_change_nothing(server):
    put = server.s3.put_object
    put(Bucket=server.bucket, Key="kept", Body=b"before")
    md5, sha256 = "1B2M2Y8AsgTpgAmY7PhCfg==", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    refused("BadDigest", put, Bucket=server.bucket, Key="kept", Body=b"after", ContentMD5=md5)
    arguments = {"Bucket": server.bucket, "Key": "kept", "Body": b"after"}
    refused("BadDigest", put, **arguments, ChecksumSHA256=sha256)
    got = server.s3.get_object(Bucket=server.bucket, Key="kept")
    assert got["Body"].read() == b"before"


def boto3_writes_under_conditions(server):
    put, arguments = server.s3.put_object, {"Bucket": server.bucket, "Key": "once"}
    etag = put(**arguments, Body=b"1", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", put, **arguments, Body=b"2", IfNoneMatch="*")
    put(**arguments, Body=b"3", IfMatch=etag)
    refused("PreconditionFailed", put, **arguments, Body=b"4", IfMatch=etag)
    assert server.s3.get_object(**arguments)["Body"].read() == b"3"


def boto3_pages_through_a_listing(server):
    keys = [f"page/{number:03}&<ü" for number in range(25)]
    for key in keys:
        server.s3.put_object(Bucket=server.bucket, Key=key, Body=b"")
    for operation in ["list_objects_v2", "list_objects"]:
        pages = server.s3.get_paginator(operation).paginate(
            Bucket=server.bucket, Prefix="page/", PaginationConfig={"PageSize": 7}
        )
        assert [found["Key"] for page in pages for found in page["Contents"]] == keys
    versions = server.s3.list_object_versions(Bucket=server.bucket, Prefix="page/")["Versions"]
    assert [found["Key"] for found in versions] == keys
    pages = server.s3.get_paginator("list_objects_v2").paginate(
        Bucket=server.bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    prefixes = [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", [])]
    assert prefixes == ["cli/", "page/"]
    objects = [{"Key": key} for key in keys]
    done = server.s3.delete_objects(Bucket=server.bucket, Delete={"Objects": objects})
    assert len(done["Deleted"]) == 25 and "Errors" not in done


def boto3_transfers_in_parallel_parts(server):
    file = server.file("parallel", 18 * MIB)
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB)
    server.s3.upload_file(file, server.bucket, "parallel", Config=config)
    server.s3.download_file(server.bucket, "parallel", server.path("back"), Config=config)
    assert filecmp.cmp(file, server.path("back"), shallow=False)
    assert "Uploads" not in server.s3.list_multipart_uploads(Bucket=server.bucket)


def boto3_presigns_what_only_the_right_bytes_satisfy(server):
    right, wrong = b"right bytes", b"wrong bytes"
    md5 = base64.b64encode(hashlib.md5(right).digest()).decode()
    put = {"Bucket": server.bucket, "Key": "signed", "ContentMD5": md5}
    url = server.s3.generate_presigned_url("put_object", Params=put)

    def send(body):
        request = urllib.request.Request(url, data=body, headers={"Content-MD5": md5}, method="PUT")
        try:
            return urllib.request.urlopen(request, timeout=30).status
        except urllib.error.HTTPError as error:
            return error.code

    assert send(wrong) == 400
    refused("404", server.s3.head_object, Bucket=server.bucket, Key="signed")
    assert send(right) == 200
    get = {"Bucket": server.bucket, "Key": "signed"}
    url = server.s3.generate_presigned_url("get_object", Params=get)
    assert urllib.request.urlopen(url, timeout=30).read() == right


def boto3_configures_a_bucket(server):
    rule = {"AllowedOrigins": ["https://x.org"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 5}
    rules = {"CORSRules": [rule]}
    server.s3.put_bucket_cors(Bucket=server.bucket, CORSConfiguration=rules)
    got = server.s3.get_bucket_cors(Bucket=server.bucket)["CORSRules"][0]
    assert {name: got[name] for name in rule} == rule, got
    server.s3.delete_bucket_cors(Bucket=server.bucket)
    refused("NoSuchCORSConfiguration", server.s3.get_bucket_cors, Bucket=server.bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{server.bucket}/once",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    server.s3.put_bucket_policy(Bucket=server.bucket, Policy=policy)
    url = f"{server.endpoint}/{server.bucket}/once"
    assert urllib.request.urlopen(url, timeout=30).read() == b"3"
    server.s3.delete_bucket_policy(Bucket=server.bucket)


def all_is_there_after_kill_9(server):
    def everything():
        pages = server.s3.get_paginator("list_objects_v2").paginate(Bucket=server.bucket)
        found = [object for page in pages for object in page["Contents"]]
        return [(object["Key"], object["ETag"], object["LastModified"]) for object in found]

    before = everything()
    server.kill()
    server.start()
    assert everything() == before
    server.aws("s3", "cp", "--only-show-errors", f"s3://{server.bucket}/cli/large", server.path("back"))
    assert filecmp.cmp(server.path("large"), server.path("back"), shallow=False)


def acknowledged_writes_survive_kill_9_and_torn_ones_leave_nothing(server):
    acknowledged, lock = {}, threading.Lock()

    def write(writer):
        for number in range(10_000):
            key, body = f"crash/{writer}/{number}", os.urandom(200_000)
            try:
                etag = server.s3.put_object(Bucket=server.bucket, Key=key, Body=body)["ETag"]
            except BotoCoreError:
                return
            with lock:
                acknowledged[key] = etag

    writers = [threading.Thread(target=write, args=[writer]) for writer in range(4)]
    for writer in writers:
        writer.start()
    while len(acknowledged) < 40:
        assert all(writer.is_alive() for writer in writers)
        time.sleep(0.01)
    server.kill()
    for writer in writers:
        writer.join()
    server.start()
    pages = server.s3.get_paginator("list_objects_v2").paginate(
        Bucket=server.bucket, Prefix="crash/"
    )
    listed = {found["Key"]: found["ETag"] for page in pages for found in page["Contents"]}
    assert acknowledged.items() <= listed.items()
    assert len(listed) <= len(acknowledged) + len(writers)
    for key, etag in listed.items():
        body = server.s3.get_object(Bucket=server.bucket, Key=key)["Body"].read()
        assert len(body) == 200_000 and etag == f'"{hashlib.md5(body).hexdigest()}"', key


CHECKS = [
    cli_copies_a_small_file,
    cli_copies_a_large_file_in_parts,
    cli_copies_and_moves_within_the_server,
    cli_syncs_and_removes_a_tree,
    cli_makes_and_removes_a_bucket,
    boto3_puts_with_each_checksum,
    boto3_streams_with_a_checksum_in_the_trailer,
    boto3_wrong_digests_change_nothing,
    boto3_writes_under_conditions,
    boto3_pages_through_a_listing,
    boto3_transfers_in_parallel_parts,
    boto3_presigns_what_only_the_right_bytes_satisfy,
    boto3_configures_a_bucket,
    all_is_there_after_kill_9,
    acknowledged_writes_survive_kill_9_and_torn_ones_leave_nothing,
]


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            for check in CHECKS:
                try:
                    check(server)
                    print(f"passed  {check.__name__}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {check.__name__}", flush=True)
                    traceback.print_exc(file=sys.stdout)
        finally:
            server.kill()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
