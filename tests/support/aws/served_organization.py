"""What an account meets as a member of an organization, which moto has no notion of, set up by the tests.

Other accounts own what is set up here: the administrator of a GuardDuty detector, and a trail of the whole organization.
"""

from typing import Any

from moto.cloudtrail.models import CloudTrailBackend, Trail, cloudtrail_backends
from moto.core.utils import utcnow
from moto.guardduty.models import guardduty_backends
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition
from validation import Refusal


def list_organizations_features(_account: str, _region: str, _params: dict[str, Any]) -> dict[str, Any]:
    """Refuses, as ListOrganizationsFeatures does for all accounts but the management and the delegated administrator's."""
    raise Refusal(
        "AccountNotManagementOrDelegatedAdministratorException",
        "The request was rejected because the account making the request is not the management account or delegated "
        "administrator account for centralized root access.",
    )


def administer(account: str, region: str, body: dict[str, Any]) -> dict[str, str]:
    """Puts every detector of the account and region under an administrator, or under none; says who it is."""
    administrator: dict[str, str] = {}
    if body["administrator"] is not None:
        # The members of GuardDuty's `Administrator`; who came through Organizations was never invited.
        administrator = {
            "accountId": str(body["administrator"]),
            "invitationId": "",
            "relationshipStatus": "Enabled",
            "invitedAt": utcnow().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
    for detector in guardduty_backends[account][region].detectors.values():
        vars(detector)["administrator"] = administrator
    return administrator


def organization_trails(backend: CloudTrailBackend) -> list[Trail]:
    """Those of other accounts that this account, as a member, sees in this region; kept on moto's backend."""
    return vars(backend).setdefault("organization_trails", [])


def trail_of_organization(account: str, region: str, body: dict[str, Any]) -> dict[str, str]:
    """Lets the account see a trail of all regions that its organization's management account has; says its ARN and bucket.

    The trail logs everything, and writes to a bucket of that account.
    """
    owner, name = str(body["owner"]), body.get("name", "organization")
    trails = cloudtrail_backends[owner][region].trails
    if name not in trails:
        bucket = f"{name}-trail-{owner}"
        s3_backends[owner][get_partition(region)].create_bucket(bucket, region)
        options = {"is_global": True, "is_multi_region": True, "log_validation": True, "is_org_trail": True}
        none = dict.fromkeys(("s3_key_prefix", "sns_topic_name", "cw_log_group_arn", "cw_role_arn", "kms_key_id"))
        trails[name] = Trail(owner, region, trail_name=name, bucket_name=bucket, **options, **none)
        trails[name].start_logging()
    organization_trails(cloudtrail_backends[account][region]).append(trails[name])
    return {"name": name, "arn": trails[name].arn, "bucket": trails[name].bucket_name}
