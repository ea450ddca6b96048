"""What moto's IAM and STS report or accept that the real ones do not."""

import re

import moto.iam.models
from mends import mend
from moto.core.responses import ActionResult
from moto.iam.exceptions import IAMException, LimitExceededException
from moto.iam.models import IAMBackend, User, iam_backends
from moto.iam.utils import generate_access_key_id_from_account_id
from moto.sts.responses import TokenResponse
from moto.sts.utils import random_session_token

# IAM user guide, "IAM and AWS STS quotas".
ATTACHED_POLICIES = 10
INLINE_BYTES = {"user": 2048, "role": 10240, "group": 5120}
# Roles that only AWS itself may change: of services, and of IAM Identity Center.
PROTECTED_PATHS = ("/aws-service-role/", "/aws-reserved/")


@mend(User, "__init__", "self, account_id, region_name, name, path", relies_on=("self.id = random_resource_id()",))
def a_user_id_starts_with_aida(original):
    """Moto makes 20 lower-case characters; IAM user guide, "Unique identifiers": AIDA."""

    def __init__(self, account_id, region_name, name, path=None):
        original(self, account_id, region_name, name, path)
        self.id = generate_access_key_id_from_account_id(account_id, prefix="AIDA", total_length=21)

    return __init__


@mend(IAMBackend, "create_instance_profile", "self, name, path, role_names, tags")
def an_instance_profile_id_starts_with_aipa(original):
    """Moto makes 20 lower-case characters; IAM user guide, "Unique identifiers": AIPA."""

    def create_instance_profile(self, name, path, role_names, tags=None):
        profile = original(self, name, path, role_names, tags)
        profile.id = generate_access_key_id_from_account_id(self.account_id, prefix="AIPA", total_length=21)
        return profile

    return create_instance_profile


@mend(
    moto.iam.models,
    "get_account_id_from",
    "access_key",
    relies_on=("for partition in PARTITION_NAMES", "if access_key in account[partition].access_keys"),
)
def looking_up_a_key_makes_no_backends(_original):
    """Moto's look-up creates every account's IAM in every partition, each with all managed policies.

    The answer is the same; a world costs a fraction of the time and memory.
    """

    def get_account_id_from(access_key):
        for account_id, partitions in list(iam_backends.items()):
            for backend in list(partitions.values()):
                if access_key in backend.access_keys:
                    return account_id
        return moto.iam.models.DEFAULT_ACCOUNT_ID

    return get_account_id_from


def temporary_credentials(response, token):
    """A key pair that moto finds again, so that calls made with it land in the account that asked for it."""
    backend = iam_backends[response.current_account][response.partition]
    key = backend.create_temp_access_key()
    caller = backend.get_user_from_access_key_id(response.access_key)
    key.user_name = caller.name if caller else None
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "SessionToken": random_session_token(),
        "Expiration": token.expiration,
    }


@mend(
    TokenResponse,
    "get_session_token",
    "self",
    relies_on=('"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"', "self.backend.get_session_token(duration=duration)"),
)
def a_session_token_comes_with_an_asia_key(_original):
    """Moto answers one constant AKIA key of no account; a temporary key starts with ASIA (IAM user guide)."""

    def get_session_token(self):
        token = self.backend.get_session_token(duration=self._get_int_param("DurationSeconds", 43200))
        return ActionResult({"Credentials": temporary_credentials(self, token)})

    return get_session_token


@mend(TokenResponse, "get_federation_token", "self", relies_on=('"FederatedUserId"',))
def a_federation_token_comes_with_an_asia_key(original):
    """As for a session token; the rest of moto's answer is right."""

    def get_federation_token(self):
        answer = original(self)
        token = self.backend.get_federation_token(
            duration=self._get_int_param("DurationSeconds", 43200), name=self._get_param("Name")
        )
        answer.result["Credentials"] = temporary_credentials(self, token)
        return answer

    return get_federation_token


@mend(IAMBackend, "get_user_from_access_key_id", "self, access_key_id")
def a_session_key_belongs_to_the_user_that_asked(original):
    """Moto knows long-term keys only; GetCallerIdentity with a session token names the user who got the token."""

    def get_user_from_access_key_id(self, access_key_id):
        key = self.access_keys.get(access_key_id)
        if key is not None and access_key_id.startswith("ASIA"):
            return self.users.get(key.user_name)
        return original(self, access_key_id)

    return get_user_from_access_key_id


def attachment_has_a_quota(kind):
    """The eleventh managed policy is refused; attaching one again changes nothing, which moto counts twice."""

    def build(original):
        def attach(self, policy_arn, name):
            attached = getattr(self, f"get_{kind}")(name).managed_policies
            if policy_arn in attached:
                return None
            if len(attached) >= ATTACHED_POLICIES and policy_arn in self.managed_policies:
                quota = f"PoliciesPer{kind.capitalize()}"
                raise LimitExceededException(f"Cannot exceed quota for {quota}: {ATTACHED_POLICIES}")
            return original(self, policy_arn, name)

        return attach

    return build


def inline_policies_have_a_size(kind):
    """All inline policies of a principal share one size, which does not count white space."""

    def build(original):
        def put(self, name, policy_name, policy_json):
            policies = dict(getattr(self, f"get_{kind}")(name).policies)
            policies[policy_name] = policy_json
            size = sum(len(re.sub(r"\s", "", document).encode()) for document in policies.values())
            if size > INLINE_BYTES[kind]:
                raise LimitExceededException(
                    f"Maximum policy size of {INLINE_BYTES[kind]} bytes exceeded for {kind} {name}"
                )
            return original(self, name, policy_name, policy_json)

        return put

    return build


for kind in INLINE_BYTES:
    mend(
        IAMBackend,
        f"attach_{kind}_policy",
        f"self, policy_arn, {kind}_name",
        relies_on=("obj.managed_policies[self.arn] = self",),
    )(attachment_has_a_quota(kind))
    mend(
        IAMBackend,
        f"put_{kind}_policy",
        f"self, {kind}_name, policy_name, policy_json",
        relies_on=("self.policies[policy_name] = policy_json",),
    )(inline_policies_have_a_size(kind))


def a_protected_role_is_unmodifiable(position):
    """Moto changes roles of services and of Identity Center; IAM answers UnmodifiableEntity (PutRolePolicy, errors)."""

    def build(original):
        def change(self, *arguments, **named):
            role_name = named.get("role_name") or arguments[position]
            if self.get_role(role_name).path.startswith(PROTECTED_PATHS):
                raise IAMException(
                    "UnmodifiableEntity",
                    f"Cannot perform the operation on the protected role '{role_name}' - "
                    "this role is only modifiable by AWS",
                )
            return original(self, *arguments, **named)

        return change

    return build


for operation, parameters in (
    ("put_role_policy", ("role_name", "policy_name", "policy_json")),
    ("delete_role_policy", ("role_name", "policy_name")),
    ("attach_role_policy", ("policy_arn", "role_name")),
    ("detach_role_policy", ("policy_arn", "role_name")),
    ("put_role_permissions_boundary", ("role_name", "permissions_boundary")),
    ("delete_role_permissions_boundary", ("role_name",)),
    ("update_assume_role_policy", ("role_name", "policy_document")),
):
    mend(IAMBackend, operation, ", ".join(("self", *parameters)))(
        a_protected_role_is_unmodifiable(parameters.index("role_name"))
    )
