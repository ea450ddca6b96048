"""What moto's SNS accepts that the real one does not."""

import unicodedata

from mends import mend
from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import MAXIMUM_MESSAGE_LENGTH, SNSBackend


@mend(
    SNSBackend,
    "publish",
    "self, message, arn, phone_number, subject, message_attributes, group_id, deduplication_id, message_structure",
)
def what_is_published_is_checked(original):
    """Moto takes any subject and counts the message in characters.

    Publish: a subject has "no line breaks or control characters, and less than 100 characters"; a message has at most
    262,144 bytes, not characters, and is not empty.
    """

    def publish(self, message, arn, phone_number=None, subject=None, *rest, **named):
        if subject is not None and not is_subject(subject):
            raise SNSInvalidParameter("Invalid parameter: Subject")
        if not message:
            raise SNSInvalidParameter("Invalid parameter: Empty message")
        if len(message.encode()) > MAXIMUM_MESSAGE_LENGTH:
            raise SNSInvalidParameter("Invalid parameter: Message too long")
        return original(self, message, arn, phone_number, subject, *rest, **named)

    return publish


def is_subject(text):
    """Line and paragraph separators (Zl, Zp) break lines as control characters (Cc) do."""
    return 0 < len(text) < 100 and not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text)
