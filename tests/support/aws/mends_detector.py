"""What moto's GuardDuty reports or accepts that the real one does not."""

from datetime import datetime

from mends import mend
from moto.core.utils import get_service_model
from moto.guardduty.exceptions import GuardDutyException
from moto.guardduty.models import Detector, GuardDutyBackend

# Always on while there is a detector: in GetDetector's answer, and no names that UpdateDetector takes.
FOUNDATIONAL = ("CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS")
# UpdateDetector: "Specifying both EKS Runtime Monitoring (EKS_RUNTIME_MONITORING) and Runtime Monitoring
# (RUNTIME_MONITORING) will cause an error."
EXCLUSIVE = {"EKS_RUNTIME_MONITORING", "RUNTIME_MONITORING"}


class BadRequest(GuardDutyException):
    """The header has one name and the body another, as GuardDuty's answers have (boto/boto3#3890)."""

    code = 400

    def __init__(self, message):
        super().__init__("InvalidInputException", message)

    def get_headers(self, *_arguments, **_named):
        return [("X-Amzn-ErrorType", "BadRequestException"), ("Content-Type", "application/json")]


def by_name(listed):
    return {each["name"]: each for each in listed}


@mend(
    Detector,
    "update",
    "self, enable, finding_publishing_frequency, data_sources, features",
    relies_on=("self.features = features",),
)
def an_update_leaves_the_other_features_as_they_are(original):
    """Moto takes the features of a request for all there are, so that switching one on would switch the others off.

    UpdateDetector, `features`: "Provides the features that will be updated for the detector."
    """

    def update(self, enable, finding_publishing_frequency, data_sources, features):
        changed = by_name(features or [])
        if EXCLUSIVE <= set(changed):
            raise BadRequest("The request is rejected because two kinds of runtime monitoring are specified.")
        held = by_name(self.features)
        for name, feature in changed.items():
            before = held.get(name, {})
            parts = by_name(before.get("additionalConfiguration", []))
            parts |= by_name(feature.get("additionalConfiguration", []))
            held[name] = before | feature | ({"additionalConfiguration": list(parts.values())} if parts else {})
        original(self, enable, finding_publishing_frequency, data_sources, list(held.values()))
        self.updated_at = datetime.now()

    return update


@mend(Detector, "to_json", "self", relies_on=('"features": self.features',))
def every_feature_is_listed(original):
    """Moto lists those that somebody named; GetDetector all, and the foundational ones, which nobody can switch off.

    DetectorFeatureConfigurationResult has a time for each. One time for all of them is a simplification.
    """

    def to_json(self):
        at, said = self.updated_at.timestamp(), by_name(self.features)
        optional = get_service_model("guardduty").shape_for("DetectorFeature").enum

        def shown(name, status):
            feature = {"name": name, "status": status, "updatedAt": at} | said.get(name, {})
            parts = [each | {"updatedAt": at} for each in feature.get("additionalConfiguration", [])]
            return feature | ({"additionalConfiguration": parts} if parts else {})

        listed = [shown(name, "ENABLED") for name in FOUNDATIONAL] + [shown(name, "DISABLED") for name in optional]
        return original(self) | {"features": listed}

    return to_json


@mend(GuardDutyBackend, "get_administrator_account", "self, detector_id", relies_on=('"RelationshipStatus": "ENABLED"',))
def a_member_is_told_its_administrator(_original):
    """Moto tells the management account of the administrators it appointed, under names that no SDK reads.

    GetAdministratorAccount: "When a member account runs this API, it will return the details of the GuardDuty
    administrator account", any other account "success (HTTP 200) but no content". `served_organization.py` makes members.
    """

    def get_administrator_account(self, detector_id):
        administrator = vars(self.get_detector(detector_id)).get("administrator")
        return {"administrator": administrator} if administrator else {}

    return get_administrator_account


@mend(
    GuardDutyBackend,
    "update_detector",
    "self, detector_id, enable, finding_publishing_frequency, data_sources, features",
)
def a_member_cannot_change_its_detector(original):
    """"Member accounts are not allowed to change their own detector status" (hashicorp/terraform-provider-aws#26168).

    GuardDuty user guide, "Understanding the relationship between GuardDuty administrator account and member accounts". Of
    the two errors that UpdateDetector has, BadRequestException is the client's.
    """

    def update_detector(self, detector_id, *arguments):
        if vars(self.get_detector(detector_id)).get("administrator"):
            raise BadRequest(
                "The request is rejected because member accounts cannot manage specified resources or properties."
            )
        return original(self, detector_id, *arguments)

    return update_detector
