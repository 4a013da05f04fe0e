"""An object store that speaks S3 and checks signatures (moto), with one bucket and one user. Run by the Python of scripts/moto-venv.sh.

object_store.py serve PORT CERTIFICATE KEY DIRECTORY    DIRECTORY/user gets the access key and its secret
object_store.py fetch PORT CERTIFICATE DIRECTORY OUT    every object becomes a file below OUT; prints uploads that were not completed
"""

import json
import os
import pathlib
import sys
import threading

BUCKET = "dumps"
# Requests that need no signature: the user, its policy, its key, the bucket.
SETUP = 4


def client(service, port, certificate, key="none", secret="none"):
    import boto3

    endpoint = f"https://127.0.0.1:{port}"
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        verify=certificate,
    )


def serve(port, certificate, key, directory):
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(SETUP)
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", int(port), application, threaded=True, ssl_context=(certificate, key))
    threading.Thread(target=server.serve_forever).start()
    users = client("iam", port, certificate)
    users.create_user(UserName="mcore")
    everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    users.put_user_policy(UserName="mcore", PolicyName="all", PolicyDocument=policy)
    access = users.create_access_key(UserName="mcore")["AccessKey"]
    client("s3", port, certificate).create_bucket(Bucket=BUCKET)
    whole = pathlib.Path(directory) / "user"
    unfinished = whole.with_suffix(".new")
    unfinished.write_text(f"{access['AccessKeyId']}:{access['SecretAccessKey']}")
    unfinished.rename(whole)


def fetch(port, certificate, directory, out):
    key, secret = (pathlib.Path(directory) / "user").read_text().split(":")
    store = client("s3", port, certificate, key, secret)
    for entry in store.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        path = pathlib.Path(out) / entry["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        store.download_file(BUCKET, entry["Key"], path)
    print(len(store.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])))


if __name__ == "__main__":
    {"serve": serve, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
