"""The mails that a site wrote into its directory."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from django.conf import settings

# Django's file backend ends each mail with this line. It names files after the second and the address of a
# Python object, so that two mails of one second may share one.
END = b"\n" + b"-" * 79 + b"\n"


def last_mail() -> EmailMessage:
    """The newest one; fails with `IndexError` where there is none."""
    files = sorted((settings.DATA / "mail").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return message_from_bytes(files[-1].read_bytes().split(END)[-2], policy=policy.default)
