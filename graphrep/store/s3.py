"""A place in an S3-compatible store. Credentials, region and endpoint come from the environment, as boto3 reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphrep.errors import InputError, StoreError
from graphrep.store.places import MovedError

_ABSENT = ("404", "NoSuchKey")
_MOVED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", *_ABSENT)
"""What a store answers to a conditional put that lost: another version, a put at the same time, or none any more."""


class Bucket:
    """Names below a prefix of a bucket. The pointer needs a store with conditional writes (S3, MinIO, Ceph, R2)."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    @classmethod
    def at(cls, url: str) -> Bucket:
        """Open ``s3://bucket/prefix``.

        Raises:
            InputError: no such address, or boto3 is not installed.
            StoreError: the environment names no region, or other settings that boto3 cannot use.
        """
        found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(.*))?", url)
        if not found:
            raise InputError("s3://bucket/prefix", found=url)
        try:
            import boto3
        except ImportError:
            raise InputError("boto3", found="none", where=url, fix="pip install 'graphrep[s3]'") from None
        prefix = (found[2] or "").strip("/")
        with _asking(url):
            client = boto3.client("s3")
        return cls(client, found[1], f"{prefix}/" if prefix else "")

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    def read(self, name: str) -> tuple[bytes, str] | None:
        with _asking(f"{self}/{name}"):
            try:
                found = self._client.get_object(**self._at(name))
            except self._client.exceptions.NoSuchKey:
                return None
            return found["Body"].read(), found["ETag"]

    def put_if(self, name: str, content: bytes, expected: str | None) -> None:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with _asking(f"{self}/{name}"):
            try:
                self._client.put_object(**self._at(name), Body=content, **condition)
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _MOVED:
                    raise MovedError from None
                raise

    def put_file(self, name: str, source: Path) -> None:
        with _asking(f"{self}/{name}"):
            self._client.upload_file(str(source), self._bucket, self._prefix + name)

    def get_file(self, name: str, target: Path) -> None:
        with _asking(f"{self}/{name}"):
            self._client.download_file(self._bucket, self._prefix + name, str(target))

    def list(self, prefix: str) -> dict[str, int]:
        with _asking(f"{self}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            found = [entry for page in pages for entry in page.get("Contents", [])]
        return {entry["Key"][len(self._prefix) :]: entry["Size"] for entry in found}

    def delete(self, name: str) -> None:
        with _asking(f"{self}/{name}"):
            self._client.delete_object(**self._at(name))


@contextmanager
def _asking(where: str) -> Iterator[None]:
    """Turn what boto3 raises into one line."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        fix = "check the bucket, AWS_ENDPOINT_URL, AWS_REGION and the credentials: " + ", ".join(_given())
        raise StoreError("an answer of the object store", found=str(error), where=where, fix=fix) from None


def _given() -> list[str]:
    """Which settings the environment has; their values are nobody's business."""
    names = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID")
    return [f"{name} is {'set' if os.environ.get(name) else 'not set'}" for name in names]
