"""What moto's CloudTrail reports or accepts that the real one does not."""

import json

from mends import mend
from moto.cloudtrail.exceptions import (
    InvalidParameterCombinationException,
    TrailNameTooShort,
    TrailNotFoundException,
)
from moto.cloudtrail.models import CloudTrailBackend, Trail, cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError
from served_organization import organization_trails

# PutEventSelectors: "By default, trails created without specific event selectors are configured to log all read and
# write management events, and no data events or network activity events."
DEFAULT_SELECTOR = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}
# PutEventSelectors: "You can configure up to five event selectors for each trail."
SELECTORS = 5


def is_home(backend, trail):
    return (trail.account_id, trail.region_name) == (backend.account_id, backend.region_name)


def to_read(backend, name_or_arn):
    """By its ARN any trail that is seen here, by its name only one that was made here.

    GetTrailStatus: "To get the status of a shadow trail (a replication of the trail in another Region), you must specify
    its ARN"; of an organization trail "you must provide the full ARN of that trail, and not just the name".
    """
    if len(name_or_arn) < 3:
        raise TrailNameTooShort(actual_length=len(name_or_arn))
    for trail in backend.describe_trails(include_shadow_trails=True):
        if name_or_arn == trail.arn or (name_or_arn == trail.trail_name and is_home(backend, trail)):
            return trail
    raise TrailNotFoundException(account_id=backend.account_id, name=name_or_arn)


def to_change(backend, name_or_arn):
    """Only where it was made, and by whom it belongs to.

    StartLogging: "this operation must be called from the Region in which the trail was created"; of the errors that
    StartLogging, StopLogging, UpdateTrail and PutEventSelectors share, `InvalidHomeRegionException` is for that, and
    `NotOrganizationMasterAccountException` for an account that is not the organization's management account. By its name
    alone an organization trail is unknown to others (aws-cloudformation/cloudformation-coverage-roadmap#1932).
    """
    regions = list(cloudtrail_backends[backend.account_id].values())
    held = [trail for region in regions for trail in [*region.trails.values(), *organization_trails(region)]]

    def is_called_so(trail):
        is_here = trail.is_multi_region or is_home(backend, trail)
        own = trail.account_id == backend.account_id
        return name_or_arn == trail.arn or (name_or_arn == trail.trail_name and own and is_here)

    meant = sorted(filter(is_called_so, held), key=lambda trail: not is_home(backend, trail))
    if not meant:
        raise TrailNotFoundException(account_id=backend.account_id, name=name_or_arn)
    trail = meant[0]
    if trail.account_id != backend.account_id:
        said = f"The account {backend.account_id} is not the management account of the organization of {trail.arn}."
        raise JsonRESTError("NotOrganizationMasterAccountException", said)
    if not is_home(backend, trail):
        said = f"The trail {trail.arn} can only be changed in its home region {trail.region_name}."
        raise JsonRESTError("InvalidHomeRegionException", said)
    return trail


@mend(CloudTrailBackend, "get_trail", "self, name_or_arn", relies_on=("if trail.is_multi_region or",))
def a_trail_is_read_by_its_arn_in_every_region(_original):
    """Moto knows a trail in its home region only."""
    return to_read


@mend(CloudTrailBackend, "get_trail_status", "self, name")
def the_status_of_a_shadow_is_read_by_its_arn(_original):
    """Moto answers by the name in every region."""

    def get_trail_status(self, name):
        return self.get_trail(name).status

    return get_trail_status


@mend(CloudTrailBackend, "describe_trails", "self, include_shadow_trails")
def a_member_sees_the_trails_of_its_organization(original):
    """DescribeTrails, `includeShadowTrails`: they are "the replication of an organization trail in member accounts"."""

    def describe_trails(self, include_shadow_trails):
        found = list(original(self, include_shadow_trails))
        if include_shadow_trails:
            for region in list(cloudtrail_backends[self.account_id].values()):
                seen = (trail for trail in organization_trails(region) if trail.is_multi_region or region is self)
                found.extend(seen)
        return found

    return describe_trails


@mend(CloudTrailResponse, "describe_trails", "self", relies_on=('"includeShadowTrails"',))
def only_the_trails_that_were_asked_for_are_described(original):
    """Moto overlooks `trailNameList`, so one trail would be taken for another.

    DescribeTrails: "If one or more trail names are specified, information is returned only if the names match the names
    of trails belonging only to the current Region and current account."
    """

    def describe_trails(self):
        answer = json.loads(original(self))
        wanted = self._get_param("trailNameList")
        if wanted:
            here = f":{self.region}:{self.current_account}:"
            answer["trailList"] = [
                trail
                for trail in answer["trailList"]
                if trail["TrailARN"] in wanted or (trail["Name"] in wanted and here in trail["TrailARN"])
            ]
        return json.dumps(answer)

    return describe_trails


def at_home(original):
    """Moto says TrailNotFoundException in another region, and lets nobody else's trail be seen."""

    def change(self, *arguments, **named):
        key = next((each for each in ("name", "trail_name") if each in named), None)
        name = to_change(self, named[key] if key else arguments[0]).trail_name
        if key:
            return original(self, **(named | {key: name}))
        return original(self, name, *arguments[1:])

    return change


UPDATED = (
    *("name", "s3_bucket_name", "s3_key_prefix", "sns_topic_name", "include_global_service_events"),
    *("is_multi_region_trail", "enable_log_file_validation", "is_organization_trail", "cw_log_group_arn"),
    *("cw_role_arn", "kms_key_id"),
)
for operation, parameters in (
    ("start_logging", ("name",)),
    ("stop_logging", ("name",)),
    ("delete_trail", ("name",)),
    ("update_trail", UPDATED),
    ("put_event_selectors", ("trail_name", "event_selectors", "advanced_event_selectors")),
    ("put_insight_selectors", ("trail_name", "insight_selectors")),
):
    mend(CloudTrailBackend, operation, ", ".join(("self", *parameters)))(at_home)


@mend(Trail, "update", ", ".join(("self", *UPDATED[1:])), relies_on=("def check_bucket_exists",))
def an_update_is_checked_as_a_creation_is(original):
    """Moto takes a bucket that is not there, and no global events for a trail of all regions; an empty prefix is none.

    UpdateTrail, errors: `S3BucketDoesNotExistException`, `InvalidParameterCombinationException`.
    """

    def update(self, *arguments, **named):
        before = dict(vars(self))
        original(self, *arguments, **named)
        self.s3_key_prefix = self.s3_key_prefix or None
        try:
            self.check_bucket_exists()
            self.check_topic_exists()
            if self.is_multi_region and not self.include_global_service_events:
                said = "Multi-Region trail must include global service events."
                raise InvalidParameterCombinationException(said)
        except JsonRESTError:
            vars(self).update(before)
            raise

    return update


@mend(Trail, "put_event_selectors", "self, event_selectors, advanced_event_selectors")
def selectors_of_one_kind_take_the_place_of_the_other(_original):
    """Moto keeps advanced selectors beside the basic ones that were put later.

    PutEventSelectors: "You can use either AdvancedEventSelectors or EventSelectors, but not both." What a basic selector
    leaves out has the value that EventSelector gives it.
    """

    def put_event_selectors(self, event_selectors, advanced_event_selectors):
        basic, advanced = event_selectors or [], advanced_event_selectors or []
        if bool(basic) == bool(advanced) or len(basic) > SELECTORS:
            said = f"Specify up to {SELECTORS} event selectors, or advanced event selectors instead."
            raise JsonRESTError("InvalidEventSelectorsException", said)
        self.event_selectors = [DEFAULT_SELECTOR | each for each in basic]
        self.advanced_event_selectors = advanced

    return put_event_selectors


@mend(CloudTrailBackend, "get_event_selectors", "self, trail_name")
def selectors_are_those_in_effect(_original):
    """Moto shows none where nobody put any, and both kinds, one of them empty; CloudTrail leaves out the other kind.

    The answer without `EventSelectors`: nccgroup/ScoutSuite#1424. That the call "will fail for an organization trail from a
    different account": cloud-custodian/cloud-custodian#6394; with which of its errors is inferred.
    """

    def get_event_selectors(self, trail_name):
        trail = to_read(self, trail_name)
        if trail.account_id != self.account_id:
            raise TrailNotFoundException(account_id=self.account_id, name=trail_name)
        advanced = trail.advanced_event_selectors
        basic = trail.event_selectors or ([] if advanced else [DEFAULT_SELECTOR])
        return trail.arn, basic or None, advanced or None

    return get_event_selectors


@mend(Trail, "description", "self, include_region", relies_on=('"HasCustomEventSelectors": False',))
def a_trail_says_where_it_is_at_home_and_whether_its_selectors_are_its_own(original):
    """Moto's GetTrail has no `HomeRegion`, and `HasCustomEventSelectors` is always false."""

    def description(self, include_region=False):
        own = self.event_selectors not in ([], [DEFAULT_SELECTOR])
        selectors = {"HasCustomEventSelectors": own or bool(self.advanced_event_selectors)}
        return original(self, include_region) | selectors | {"HomeRegion": self.region_name}

    return description
