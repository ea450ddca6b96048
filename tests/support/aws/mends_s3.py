"""What moto's S3 accepts or overlooks that the real one does not."""

import json

from mends import mend
from moto.core.responses import ActionResult
from moto.s3.exceptions import BucketAccessDeniedError
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.s3.utils import bucket_policy_is_public

# What of a bucket is its owner's alone; objects and their listings may be others' too, if the policy lets them.
SETTINGS = {
    *("accelerate", "acl", "cors", "encryption", "lifecycle", "location", "logging", "notification", "object-lock"),
    *("ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "tagging", "versioning"),
    "website",
}


def check_owner(response, request, settings):
    """Refuses what S3 refuses because of whose bucket it is; a bucket that is not there is nobody's.

    Bucket owner condition (S3 user guide): "If the actual bucket owner doesn't match the expected bucket owner, the
    request fails", with 403 Access Denied. That settings are refused to other accounts is the rule without a policy that
    names them.
    """
    name = response.bucket_name
    _partition, owner = s3_backends.bucket_accounts.get(name, (None, None))
    if owner is None:
        return
    expected = request.headers.get("x-amz-expected-bucket-owner", owner)
    if expected != owner or (settings and owner != response.current_account):
        raise BucketAccessDeniedError(bucket=name)


@mend(S3Response, "_bucket_response", "self, request, full_url", relies_on=("except S3ClientError as s3error:",))
def a_bucket_belongs_to_whom_it_is_expected_to(original):
    """Moto overlooks `ExpectedBucketOwner`, and shows and changes the settings of other accounts' buckets."""

    def _bucket_response(self, request, full_url):
        check_owner(self, request, not SETTINGS.isdisjoint(self._get_querystring(request, full_url)))
        return original(self, request, full_url)

    return _bucket_response


@mend(S3Response, "_key_response", "self, request, full_url")
def the_bucket_of_an_object_belongs_to_whom_it_is_expected_to(original):
    """The same for objects: the condition is "available for all S3 object operations"."""

    def _key_response(self, request, full_url):
        check_owner(self, request, settings=False)
        return original(self, request, full_url)

    return _key_response


@mend(FakeBucket, "get_permission", "self, action, resource", relies_on=("IAMPolicy(self.policy.decode())",))
def a_statement_with_a_condition_is_not_one_without(original):
    """Moto overlooks conditions, so a denial by an object's tag would keep everybody from everything, reading its tags too.

    What moto cannot weigh is left out; no test rests on S3's refusing by tag.
    """

    def get_permission(self, action, resource):
        if self.policy is None:
            return original(self, action, resource)
        whole = self.policy
        policy = json.loads(whole)
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        policy["Statement"] = [statement for statement in statements if "Condition" not in statement]
        self.policy = json.dumps(policy).encode() if policy["Statement"] else None
        try:
            return original(self, action, resource)
        finally:
            self.policy = whole

    return get_permission


@mend(S3Response, "all_buckets", "self", relies_on=('max_buckets = self._get_param("max-buckets")',))
def buckets_come_in_pages(original):
    """Moto cuts the list at `MaxBuckets` and gives no token, so the rest would seem not to be there.

    ListBuckets: "ContinuationToken is included in the response when there are more buckets". `BucketRegion` is there "if
    the request contains at least one valid parameter" (Bucket).
    """

    def all_buckets(self):
        names = ("prefix", "bucket-region", "max-buckets", "continuation-token")
        prefix, region, most, token = (self._get_param(name) for name in names)
        if (prefix, region, most, token) == (None,) * 4:
            return original(self)
        self.data["Action"] = "ListAllMyBuckets"
        self._authenticate_and_authorize_s3_action()
        found = sorted(self.backend.list_buckets(prefix, region, None), key=lambda bucket: bucket.name)
        rest = [bucket for bucket in found if token is None or bucket.name > token]
        page = rest[: int(most)] if most else rest
        self.data["Action"] = "ListBuckets"
        answer = {
            "Buckets": [
                {"Name": each.name, "CreationDate": each.creation_date_ISO8601, "BucketRegion": each.region_name}
                for each in page
            ],
            "Owner": {"ID": "bcaf1ffd86f41161ca5fb16fd081034f"},
        }
        answer |= {"Prefix": prefix} if prefix else {}
        answer |= {"ContinuationToken": page[-1].name} if len(page) < len(rest) else {}
        return self.serialized(ActionResult(answer))

    return all_buckets


@mend(S3Backend, "put_bucket_policy", "self, bucket_name, policy")
def a_public_policy_is_refused_where_it_is_blocked(original):
    """Moto stores it.

    PublicAccessBlockConfiguration, `BlockPublicPolicy`: "causes Amazon S3 to reject calls to PUT Bucket policy if the
    specified bucket policy allows public access".
    """

    def put_bucket_policy(self, bucket_name, policy):
        block = self.get_bucket(bucket_name).public_access_block
        if block is not None and block.block_public_policy and bucket_policy_is_public(policy):
            raise BucketAccessDeniedError(bucket=bucket_name)
        return original(self, bucket_name, policy)

    return put_bucket_policy
