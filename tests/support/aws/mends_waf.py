"""What moto's WAF accepts or keeps that the real one does not."""

from ipaddress import ip_network

from mends import mend
from moto.wafv2.exceptions import WAFv2ClientError
from moto.wafv2.models import FakeIPSet, WAFV2Backend


def check_addresses(version, addresses):
    """Refuses what is no block of the set's version.

    UpdateIPSet: "All addresses must be specified using Classless Inter-Domain Routing (CIDR) notation", any "except for
    /0"; nor may there be bits beyond the prefix (aws/aws-cdk#20003).
    """
    for address in addresses:
        try:
            block = ip_network(address)
            valid = "/" in address and block.prefixlen > 0 and f"IPV{block.version}" == version
        except ValueError:
            valid = False
        if not valid:
            reason = "The parameter contains formatting that is not valid."
            said = f"Error reason: {reason}, field: IP_ADDRESS, parameter: {address}"
            raise WAFv2ClientError("WAFInvalidParameterException", said)


@mend(WAFV2Backend, "create_ip_set", "self, name, scope, description, ip_address_version, addresses, tags")
def a_new_set_has_addresses_of_its_version(original):
    """Moto takes any text."""

    def create_ip_set(self, name, scope, description, ip_address_version, addresses, tags):
        check_addresses(ip_address_version, addresses)
        return original(self, name, scope, description, ip_address_version, addresses, tags)

    return create_ip_set


@mend(
    WAFV2Backend,
    "update_ip_set",
    "self, name, scope, _id, description, addresses, lock_token",
    relies_on=("if ip_set.lock_token != lock_token:",),
)
def a_set_keeps_to_its_version(original):
    """Moto takes an IPv6 block into a set for IPv4."""

    def update_ip_set(self, name, scope, _id, description, addresses, lock_token):
        check_addresses(self.get_ip_set(name, scope, _id).ip_address_version, addresses)
        return original(self, name, scope, _id, description, addresses, lock_token)

    return update_ip_set


@mend(FakeIPSet, "update", "self, description, addresses", relies_on=("if description is not None:",))
def an_update_replaces_the_description_too(original):
    """Moto keeps the old one.

    UpdateIPSet: "This operation completely replaces the mutable specifications that you already have for the IP set with
    the ones that you provide to this call."
    """

    def update(self, description, addresses):
        self.description = description
        original(self, description, addresses)

    return update
