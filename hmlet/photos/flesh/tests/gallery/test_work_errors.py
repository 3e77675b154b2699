"""Which failures of the storage are an outage, and which may be one job's own."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from gallery.work_errors import as_job_errors
from jobs.errors import JobError


def _answer(status: int, code: str) -> ClientError:
    metadata = {"HTTPStatusCode": status, "RequestId": "", "HostId": "", "HTTPHeaders": {}, "RetryAttempts": 0}
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": metadata}, "GetObject")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (_answer(500, "InternalError"), True),
        (_answer(503, "SlowDown"), True),
        (_answer(403, "RequestTimeTooSkewed"), True),
        (EndpointConnectionError(endpoint_url="http://storage"), True),
        (TimeoutError(), True),
        (_answer(403, "AccessDenied"), False),
    ],
)
def test_what_is_no_job_s_fault_is_an_outage(error: Exception, outage: bool) -> None:
    with pytest.raises(JobError) as caught, as_job_errors(missing=JobError("missing", "Missing.")):
        raise error
    assert (caught.value.code, caught.value.retryable) == ("storage_unavailable", True)
    assert caught.value.outage is outage
