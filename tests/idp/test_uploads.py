from io import BytesIO

import pytest
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory

LIMIT = 5000


@pytest.fixture(autouse=True)
def small_cap(settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT


def test_nobody_sends_more_than_the_cap_as_files(db):
    client = Client(enforce_csrf_checks=True)
    client.get("/accounts/login/")  # with its cookie, a form is read to find the token
    big = SimpleUploadedFile("big", bytes(LIMIT + 1))
    assert client.post("/accounts/login/", {"file": big}).status_code == 400
    with pytest.raises(RequestDataTooBig, match="expected at most 5000"):
        RequestFactory().post("/", {"file": BytesIO(bytes(LIMIT + 1))}).FILES  # noqa: B018


def test_files_below_the_cap_arrive_whole():
    content = bytes(range(256)) * 8
    sent = RequestFactory().post("/", {"file": SimpleUploadedFile("small", content), "a": "b"})
    assert (sent.FILES["file"].read(), sent.POST["a"]) == (content, "b")
