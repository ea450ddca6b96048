"""The APIs that moto lacks, served by botocore's model from functions here.

A function takes (account, region, parameters) and returns a value of the operation's output shape, or raises an
exception of moto's or a `Refusal`. State lives on moto's own objects, so that it goes when they go.
"""

from typing import Any, Callable

from moto.core.utils import utcnow
from moto.iam.exceptions import LimitExceededException, NotFoundException
from moto.iam.models import User, iam_backends
from moto.iam.utils import generate_access_key_id_from_account_id, random_alphanumeric
from moto.utilities.utils import get_partition
from served_organization import list_organizations_features
from served_sessions import describe_sessions, terminate_session
from served_trail import lookup_events
from validation import Refusal

# CreateServiceSpecificCredential: the services that have such credentials, and "a maximum of two sets" for each.
SERVICES = ("bedrock.amazonaws.com", "cassandra.amazonaws.com", "codecommit.amazonaws.com")
CREDENTIALS_PER_SERVICE = 2


def credentials_of(user: User) -> dict[str, dict[str, Any]]:
    """The credentials of a user by their id, kept on moto's user."""
    return vars(user).setdefault("service_specific_credentials", {})


def create_service_specific_credential(account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
    user = iam_backends[account][get_partition(region)].get_user(params["UserName"])
    service, held = params["ServiceName"], credentials_of(user)
    if service not in SERVICES:
        raise Refusal("NotSupportedService", f"No such service {service}")
    if sum(each["ServiceName"] == service for each in held.values()) >= CREDENTIALS_PER_SERVICE:
        quota = f"ServiceSpecificCredentialsPerUser: {CREDENTIALS_PER_SERVICE}"
        raise LimitExceededException(f"Cannot exceed quota for {quota}")
    identifier = generate_access_key_id_from_account_id(account, prefix="ACCA", total_length=21)
    held[identifier] = {
        "CreateDate": utcnow(),
        "ServiceName": service,
        "ServiceUserName": f"{user.name}+{len(held) + 1}-at-{account}",
        "ServiceSpecificCredentialId": identifier,
        "UserName": user.name,
        "Status": "Active",
    }
    return {"ServiceSpecificCredential": held[identifier] | {"ServicePassword": random_alphanumeric(44)}}


def list_service_specific_credentials(account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
    backend = iam_backends[account][get_partition(region)]
    users = list(backend.users.values()) if params.get("AllUsers") else [backend.get_user(params.get("UserName"))]
    held = [each for user in users for each in credentials_of(user).values()]
    wanted = params.get("ServiceName")
    return {"ServiceSpecificCredentials": [each for each in held if wanted in (None, each["ServiceName"])]}


def update_service_specific_credential(account: str, region: str, params: dict[str, Any]) -> dict[str, Any]:
    held = credentials_of(iam_backends[account][get_partition(region)].get_user(params.get("UserName")))
    identifier = params["ServiceSpecificCredentialId"]
    if identifier not in held:
        raise NotFoundException(f"The service specific credential {identifier} cannot be found.")
    held[identifier]["Status"] = params["Status"]
    return {}


def describe_trunk_interface_associations(_account: str, _region: str, _params: dict[str, Any]) -> dict[str, Any]:
    """Moto has no branch interfaces, so there is never an association."""
    return {"InterfaceAssociations": []}


SERVED: dict[tuple[str, str], Callable[[str, str, dict[str, Any]], dict[str, Any]]] = {
    ("iam", "CreateServiceSpecificCredential"): create_service_specific_credential,
    ("iam", "ListServiceSpecificCredentials"): list_service_specific_credentials,
    ("iam", "UpdateServiceSpecificCredential"): update_service_specific_credential,
    ("iam", "ListOrganizationsFeatures"): list_organizations_features,
    ("ec2", "DescribeTrunkInterfaceAssociations"): describe_trunk_interface_associations,
    ("cloudtrail", "LookupEvents"): lookup_events,
    ("ssm", "DescribeSessions"): describe_sessions,
    ("ssm", "TerminateSession"): terminate_session,
}
