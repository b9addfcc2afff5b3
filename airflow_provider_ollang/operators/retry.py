"""Where the API asks for a long wait, the task ends and is retried at that time.

That takes a retry policy, which Airflow has from 3.3 on. On an older Airflow the task's own
``retry_delay`` applies.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision

try:
    from airflow.sdk import RetryPolicy
except ImportError:
    HAS_RETRY_POLICIES = False
    RetryPolicy = object  # type: ignore[misc, assignment]
else:
    HAS_RETRY_POLICIES = True

#: A request for a longer wait than this is taken for a mistake.
LONGEST_DELAY = timedelta(days=1)


class RetryAfterException(AirflowException):
    """The task failed because the API asks for a long wait.

    :param message: what happened
    :param retry_after: seconds that the API asks to wait
    """

    # With a default, as pickle makes the same error from the message alone.
    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RetryAfterPolicy(RetryPolicy):
    """Retries a task when the API asks to, instead of after the task's ``retry_delay``.

    The default ``retry_policy`` of the operators on Airflow 3.3 and newer. The policy sets the
    delay, a day at most; ``retries`` sets the count.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Any = None,
    ) -> RetryDecision:
        """Return when to retry: after the exception's ``retry_after``, if it has one."""
        from airflow.sdk import RetryDecision

        seconds: float | None = getattr(exception, "retry_after", None)
        if not seconds:
            return RetryDecision.default()
        delay = min(timedelta(seconds=seconds), LONGEST_DELAY)
        return RetryDecision.retry(delay, reason=f"the API asks to wait {seconds:g} s")


def exception_to_retry(message: str, retry_after: float | None) -> AirflowException:
    """Return what fails a task so that Airflow's retries apply.

    :param message: what happened
    :param retry_after: seconds that the API asks to wait, if it does; what the client waits for
        itself does not delay the task
    """
    from airflow_provider_ollang.api.retry import RetryPolicy as CallPolicy

    if retry_after is None or retry_after <= CallPolicy().retry_after_max:
        return AirflowException(message)
    return RetryAfterException(message, retry_after)
